# RDAL, step 2: ResNet-101 at 512, from the last checkpoint of baseline_r101_voc07-512.py.
# Not in the paper; the widths are ours.
_base_ = [
    '../_base_/voc07_crop512.py',
    '../_base_/rdal_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=101,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/baseline_r101_voc07-512/epoch_45.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(
        type='mmmlc.RecurrentAttention',
        in_channels=2048,
        num_classes=20,
        num_regions=5,
        sampled_size=14,
        pool=2,
        feature_width=2048,
        hidden_width=2048,
        localisation='identity',
    ),
    head=dict(
        type='mmmlc.RecurrentAttentionHead',
        num_classes=20,
        loss='euclidean',
        constraints=dict(type='mmmlc.RegionConstraintLoss', anchor=True, scale=True, positive=True),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)

default_hooks = dict(checkpoint=dict(save_best='loss', rule='less'))
val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3),
    dict(type='mmmlc.ValidationLoss'),
]
