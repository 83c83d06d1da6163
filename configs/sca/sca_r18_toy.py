# SCA-DNN on ToyScenes, from scratch, minutes on two CPU cores. Needs mmdet, see docs/sca.md.
_base_ = [
    '../_base_/models/sca.py',
    '../_base_/models/toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/cpu.py',
]

strides = [4, 8, 16]

model = dict(
    backbone=dict(_base_.toy_resnet, out_indices=(0, 1, 2)),
    neck=dict(
        in_channels=[16, 32, 64],
        out_channels=32,
        num_outs=3,
        # From scratch a pyramid trains faster with it.
        norm_cfg=dict(type='mmengine.BN'),
    ),
    patch_generator=dict(
        in_channels=32,
        feat_channels=32,
        # Anchors of 12, 24 and 48 pixels: the objects are 9 to 50 pixels wide.
        anchor_generator=dict(scales=[3], strides=strides),
        train_cfg=dict(sampler=dict(num=64)),
        test_cfg=dict(nms_pre=200, max_per_img=50),
    ),
    head=dict(
        num_classes=_base_.num_classes,
        roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1),
            out_channels=32,
            featmap_strides=strides,
            finest_scale=12,
        ),
        width=128,
        sampler=dict(
            type='mmdet.RandomSampler',
            num=32,
            pos_fraction=0.25,
            neg_pos_ub=-1,
            add_gt_as_proposals=True,
        ),
        max_patches=30,
    ),
    data_preprocessor=_base_.toy_norm,
)

# Classification and detection in one run.
val_evaluator = [
    _base_.val_evaluator,
    dict(type='mmmlc.WeakDetectionMetric'),
    dict(type='mmmlc.PatchIoU'),
]
test_evaluator = val_evaluator

# Half of the baseline's batch: patches are many, and more steps fit into an epoch.
train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=16)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmengine.AdamW', lr=2e-3, weight_decay=0.01)
)
param_scheduler = dict(eta_max=2e-3)
