# Plain classifier with the asymmetric loss. A config gives the backbone and its channels.
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        pooling='gap',
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
    data_preprocessor=_base_.imagenet_norm,
)
