# Plain classifier for ToyScenes.
_base_ = './toy.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=_base_.toy_resnet,
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=64, pooling='gwp'),
    data_preprocessor=_base_.toy_norm,
)
