# KD-WSD's teacher (WSDDN), VGG-16, five scales.
_base_ = './imagenet.py'

model = dict(
    type='mmmlc.WSDDN',
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3, stride 16
        init_cfg=_base_.imagenet_weights.vgg16,
    ),
    head=dict(
        type='mmmlc.WSDDNHead',
        in_channels=512,
        width=4096,
        # fc6 and fc7; the log names the classifier's last layer as not used.
        fcs_init=dict(_base_.imagenet_weights.vgg16, prefix='backbone.classifier'),
    ),
    data_preprocessor=dict(
        _base_.imagenet_norm,
        type='mmmlc.MultiScaleDataPreprocessor',
        scales=(480, 576, 672, 736, 832),
    ),
)
