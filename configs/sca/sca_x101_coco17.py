# SCA-DNN, ResNeXt-101 (32 x 4d) and FPN. The slides: no number for this split,
# whose name they give to the images of 2014.
_base_ = [
    '../_base_/coco17_boxes.py',
    '../_base_/sca_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.SCADNN',
    backbone=dict(
        type='mmpretrain.ResNeXt',
        depth=101,
        groups=32,
        width_per_group=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnext/'
            'resnext101_32x4d_b32x8_imagenet_20210506-e0fa3dd5.pth',
            prefix='backbone',
        ),
    ),
    # The patches look at four levels; the fifth is for the generator's largest anchors alone.
    neck=dict(type='mmdet.FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5),
    patch_generator=dict(
        type='mmdet.RPNHead',
        in_channels=256,
        feat_channels=256,
        anchor_generator=dict(
            type='mmdet.AnchorGenerator',
            scales=[8],
            ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32, 64],
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
                num=256,
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
            nms_pre=1000,
            max_per_img=1000,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
    ),
    train_proposals=dict(nms_pre=2000),
    head=dict(
        type='mmmlc.SCAHead',
        num_classes=80,
        roi_extractor=dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=256,
            featmap_strides=[4, 8, 16, 32],
        ),
        width=1024,
        expansion=2.0,
        branch='both',
        relation_heads=0,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
        pad_size_divisor=32,
    ),
)

# Classification and detection in one run.
val_evaluator = [
    dict(
        type='mmmlc.MultiLabelMetric',
        threshold=0.5,
        topk=3,
        also=('object_score', 'context_score'),
    ),
    dict(type='mmmlc.WeakDetectionMetric', style='coco'),
    dict(type='mmmlc.PatchIoU'),
]
test_evaluator = val_evaluator
