# A check of the model on a few real images: learn the 126 labelled training images of COCO128 by
# heart, with their boxes, from scratch, in minutes on a CPU. Not a benchmark.
_base_ = ['../_base_/default_runtime.py']

data_root = 'data/coco128'

model = dict(
    type='mmmlc.SCADNN',
    backbone=dict(type='mmpretrain.ResNet', depth=18, out_indices=(0, 1, 2, 3)),
    neck=dict(
        type='mmdet.FPN',
        in_channels=[64, 128, 256, 512],
        out_channels=64,
        num_outs=4,
        # From scratch a pyramid trains faster with it.
        norm_cfg=dict(type='mmengine.BN'),
    ),
    patch_generator=dict(
        type='mmdet.RPNHead',
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(
            # Anchors of 16 to 128 pixels: the images have 160.
            type='mmdet.AnchorGenerator',
            scales=[4],
            ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32],
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
                num=128,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        # mmdet looks the operators nms and RoIAlign up by these names, without scope.
        test_cfg=dict(
            nms_pre=300, max_per_img=100, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
        ),
    ),
    head=dict(
        type='mmmlc.SCAHead',
        num_classes=80,
        roi_extractor=dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=1),
            out_channels=64,
            featmap_strides=[4, 8, 16, 32],
            finest_scale=14,
        ),
        width=256,
        expansion=2.0,
        branch='both',
        relation_heads=0,
        sampler=dict(
            type='mmdet.RandomSampler',
            num=64,
            pos_fraction=0.5,
            neg_pos_ub=-1,
            add_gt_as_proposals=True,
        ),
        max_patches=50,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
default_hooks = dict(logger=dict(interval=10))

pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(160, 160), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img_path='images/train'),
        pipeline=pipeline,
    ),
)
# The training images again: the question is whether they are learnt.
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img_path='images/train'),
        pipeline=pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, also=('object_score', 'context_score')),
    dict(type='mmmlc.WeakDetectionMetric'),
    dict(type='mmmlc.PatchIoU'),
]
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='mmengine.OptimWrapper', optimizer=dict(type='mmengine.AdamW', lr=1e-3, weight_decay=0.0)
)
param_scheduler = dict(
    type='mmengine.OneCycleLR',
    eta_max=1e-3,
    total_steps=30,  # epochs; as many as max_epochs
    by_epoch=True,
    convert_to_iter_based=True,
)
train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=15)
val_cfg = dict()
test_cfg = dict()
