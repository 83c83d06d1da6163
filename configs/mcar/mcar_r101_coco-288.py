# MCAR, ResNet-101, 288 x 288. The paper: 80.5 mAP on COCO14 val.
_base_ = [
    '../_base_/coco14_288.py',
    '../_base_/mcar_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
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
        pooling='gwp',
        threshold=0.6,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
