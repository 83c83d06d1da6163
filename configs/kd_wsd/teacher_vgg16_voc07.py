# KD-WSD's teacher (WSDDN), VGG-16, 500 proposals, five scales.
# The paper has no numbers on VOC07.
_base_ = [
    '../_base_/voc07_proposals.py',
    '../_base_/wsddn_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.WSDDN',
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3, stride 16
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
            'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.WSDDNHead',
        num_classes=20,
        in_channels=512,
        width=4096,
        fcs_init=dict(
            # fc6 and fc7; the log names the classifier's last layer as not used.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
            'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
            prefix='backbone.classifier',
        ),
    ),
    data_preprocessor=dict(
        type='mmmlc.MultiScaleDataPreprocessor',
        scales=(480, 576, 672, 736, 832),
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
