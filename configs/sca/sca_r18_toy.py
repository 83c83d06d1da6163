# SCA-DNN on ToyScenes, from scratch, minutes on two CPU cores. Needs mmdet, see docs/sca.md.
_base_ = [
    '../_base_/toy_scenes.py',
    '../_base_/toy_schedule.py',
    '../_base_/default_runtime.py',
]

strides = [4, 8, 16]

model = dict(
    type='mmmlc.SCADNN',
    backbone=dict(
        # A quarter of the width of ResNet-18, without its last stage, as in the plain baseline.
        type='mmpretrain.ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
    ),
    neck=dict(
        type='mmdet.FPN',
        in_channels=[16, 32, 64],
        out_channels=32,
        num_outs=3,
        # From scratch a pyramid trains faster with it.
        norm_cfg=dict(type='mmengine.BN'),
    ),
    patch_generator=dict(
        type='mmdet.RPNHead',
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(
            # Anchors of 12, 24 and 48 pixels: the objects are 9 to 50 pixels wide.
            type='mmdet.AnchorGenerator',
            scales=[3],
            ratios=[0.5, 1.0, 2.0],
            strides=strides,
        ),
        bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='mmdet.L1Loss'),
        train_cfg=dict(
            assigner=dict(
                type='mmdet.MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                ignore_iof_thr=0.5,
            ),
            sampler=dict(
                type='mmdet.RandomSampler',
                num=64,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        # mmdet looks the operator up by this name.
        test_cfg=dict(
            nms_pre=200, max_per_img=50, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
        ),
    ),
    head=dict(
        type='mmmlc.SCAHead',
        num_classes=20,
        roi_extractor=dict(
            type='mmdet.SingleRoIExtractor',
            # mmdet looks the operator up by this name.
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=1),
            out_channels=32,
            featmap_strides=strides,
            finest_scale=12,
        ),
        width=128,
        expansion=2.0,
        branch='both',
        relation_heads=0,
        sampler=dict(
            type='mmdet.RandomSampler',
            num=32,
            pos_fraction=0.25,
            neg_pos_ub=-1,
            add_gt_as_proposals=True,
        ),
        max_patches=30,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]

# Classification and detection in one run.
val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3),
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
