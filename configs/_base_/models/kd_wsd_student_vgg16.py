# KD-WSD's student, VGG-16.
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3; the head pools
        init_cfg=_base_.imagenet_weights.vgg16,
    ),
    head=dict(
        type='mmmlc.VGGHead',
        # fc6 and fc7; the log names the classifier's last layer as not used.
        fcs_init=dict(_base_.imagenet_weights.vgg16, prefix='backbone.classifier'),
    ),
    data_preprocessor=_base_.imagenet_norm,
)
