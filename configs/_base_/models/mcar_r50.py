# MCAR, ResNet-50. Which pooling is better depends on the data: a config says it.
_base_ = './imagenet.py'

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    backbone=dict(type='mmpretrain.ResNet', depth=50, init_cfg=_base_.imagenet_weights.resnet50),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=2048, threshold=0.6),
    data_preprocessor=_base_.imagenet_norm,
)
