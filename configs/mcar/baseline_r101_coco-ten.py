# The plain baseline tested on ten views of its feature map: checkpoints of baseline_r101_coco.py.
# Not in MCAR's paper.
_base_ = [
    '../_base_/coco14_448.py',
    '../_base_/mcar_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.TenViews',
    classifier='mmpretrain.ImageClassifier',
    mode='features',
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=101,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet101_8xb32_in1k_20210831-539c63f8.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=80,
        in_channels=2048,
        pooling='gap',
        threshold=0.6,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
