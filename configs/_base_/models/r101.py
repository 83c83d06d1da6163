# Plain classifier, ResNet-101.
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.ResNet', depth=101, init_cfg=_base_.imagenet_weights.resnet101),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=2048, pooling='gap'),
    data_preprocessor=_base_.imagenet_norm,
)
