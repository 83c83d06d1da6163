# Smooth maximum over the maps of a small ResNet-18.
_base_ = './toy.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=_base_.toy_resnet,
    head=dict(type='mmmlc.SmoothMaxHead', in_channels=64),
    data_preprocessor=_base_.toy_norm,
)
