# ResNet-101, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/coco14_448_modern.py',
    '../_base_/modern_schedule.py',
    '../_base_/modern_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
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
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
