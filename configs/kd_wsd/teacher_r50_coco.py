# KD-WSD's teacher (WSDDN) on another backbone: ResNet-50, global pooling in place of fc6 and fc7.
# The paper has no such number.
_base_ = [
    '../_base_/coco14_proposals.py',
    '../_base_/wsddn_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.WSDDN',
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=50,
        # Stride 16, as VGG-16: at 32 small proposals fall into one cell.
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        norm_eval=True,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.WSDDNHead',
        num_classes=80,
        in_channels=2048,
        width=None,
    ),
    data_preprocessor=dict(
        type='mmmlc.MultiScaleDataPreprocessor',
        scales=(480, 576, 672, 736, 832),
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
