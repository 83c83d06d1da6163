# RDAL, ResNet-101. A config says which checkpoint of step 1 the backbone comes from.
_base_ = ['./rdal.py', './imagenet.py']

model = dict(
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=101,
        # mmengine knows this one type without scope only.
        init_cfg=dict(type='Pretrained', prefix='backbone'),
    ),
    neck=dict(
        in_channels=2048,
        sampled_size=14,
        feature_width=2048,
        hidden_width=2048,
        localisation='identity',
    ),
    head=dict(loss='euclidean'),
    data_preprocessor=_base_.imagenet_norm,
)
