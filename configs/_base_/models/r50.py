# Plain classifier, ResNet-50.
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.ResNet', depth=50, init_cfg=_base_.imagenet_weights.resnet50),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=2048, pooling='gap'),
    data_preprocessor=_base_.imagenet_norm,
)
