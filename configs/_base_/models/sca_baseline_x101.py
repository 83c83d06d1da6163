# Plain classifier, ResNeXt-101 (32 x 4d).
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.ResNeXt',
        depth=101,
        groups=32,
        width_per_group=4,
        init_cfg=_base_.imagenet_weights.resnext101,
    ),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=2048, pooling='gap'),
    data_preprocessor=_base_.imagenet_norm,
)
