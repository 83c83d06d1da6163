# A check of the model on a few real images: learn the 126 labelled training images of COCO128 by
# heart, with their boxes, from scratch, in minutes on a CPU. Not a benchmark.
_base_ = [
    '../_base_/models/sca.py',
    '../_base_/models/imagenet.py',
    '../_base_/datasets/coco128_bs8_160.py',
    '../_base_/schedules/coco128_adamw_48e.py',
    '../_base_/runtimes/cpu.py',
]

strides = [4, 8, 16, 32]

model = dict(
    backbone=dict(type='mmpretrain.ResNet', depth=18, out_indices=(0, 1, 2, 3)),
    neck=dict(
        in_channels=[64, 128, 256, 512],
        out_channels=64,
        num_outs=4,
        # From scratch a pyramid trains faster with it.
        norm_cfg=dict(type='mmengine.BN'),
    ),
    patch_generator=dict(
        in_channels=64,
        feat_channels=64,
        # Anchors of 16 to 128 pixels: the images have 160.
        anchor_generator=dict(scales=[4], strides=strides),
        train_cfg=dict(sampler=dict(num=128)),
        test_cfg=dict(nms_pre=300, max_per_img=100),
    ),
    head=dict(
        num_classes=_base_.num_classes,
        roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1),
            out_channels=64,
            featmap_strides=strides,
            finest_scale=14,
        ),
        width=256,
        sampler=dict(
            type='mmdet.RandomSampler',
            num=64,
            pos_fraction=0.5,
            neg_pos_ub=-1,
            add_gt_as_proposals=True,
        ),
        max_patches=50,
    ),
    data_preprocessor=_base_.imagenet_norm,
)
default_hooks = dict(logger=dict(interval=10))

train_dataloader = dict(batch_size=4)
val_evaluator = [
    dict(_base_.val_evaluator, also=('object_score', 'context_score')),
    dict(type='mmmlc.WeakDetectionMetric'),
    dict(type='mmmlc.PatchIoU'),
]
test_evaluator = val_evaluator

param_scheduler = dict(total_steps=30)
train_cfg = dict(max_epochs=30, val_interval=15)
