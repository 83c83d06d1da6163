# SCA-DNN, ResNeXt-101 (32 x 4d) and FPN.
_base_ = ['./sca.py', './imagenet.py']

model = dict(
    backbone=dict(
        type='mmpretrain.ResNeXt',
        depth=101,
        groups=32,
        width_per_group=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_eval=True,
        init_cfg=_base_.imagenet_weights.resnext101,
    ),
    # The patches look at four levels; the fifth is for the generator's largest anchors alone.
    neck=dict(in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5),
    patch_generator=dict(
        in_channels=256,
        feat_channels=256,
        anchor_generator=dict(scales=[8], strides=[4, 8, 16, 32, 64]),
        test_cfg=dict(nms_pre=1000, max_per_img=1000),
    ),
    train_proposals=dict(nms_pre=2000),
    head=dict(
        roi_extractor=dict(
            roi_layer=dict(sampling_ratio=0), out_channels=256, featmap_strides=[4, 8, 16, 32]
        ),
        width=1024,
    ),
    data_preprocessor=dict(_base_.imagenet_norm, pad_size_divisor=32),
)
