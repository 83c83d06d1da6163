# Plain classifier, MobileNet-v2.
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.MobileNetV2',
        out_indices=(7,),  # the last 1x1 convolution
        init_cfg=_base_.imagenet_weights.mobilenet_v2,
    ),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=1280, pooling='gap'),
    data_preprocessor=_base_.imagenet_norm,
)
