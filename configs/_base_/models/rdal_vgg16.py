# RDAL, VGG-16. A config says which checkpoint of step 1 the backbone comes from.
_base_ = ['./rdal.py', './imagenet.py']

model = dict(
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3, stride 16
        # mmengine knows this one type without scope only.
        init_cfg=dict(type='Pretrained', prefix='backbone'),
    ),
    neck=dict(
        in_channels=512,
        sampled_size=14,
        feature_width=4096,
        hidden_width=4096,
        localisation='identity',
    ),
    head=dict(loss='euclidean'),
    data_preprocessor=_base_.imagenet_norm,
)
