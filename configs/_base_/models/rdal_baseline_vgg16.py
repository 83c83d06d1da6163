# Plain classifier, VGG-16.
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3, stride 16
        init_cfg=_base_.imagenet_weights.vgg16,
    ),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=512, pooling='gap'),
    data_preprocessor=_base_.imagenet_norm,
)
