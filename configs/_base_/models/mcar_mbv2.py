# MCAR, MobileNet-v2. Which pooling is better depends on the data: a config says it.
_base_ = './imagenet.py'

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    backbone=dict(
        type='mmpretrain.MobileNetV2',
        out_indices=(7,),  # the last 1x1 convolution
        init_cfg=_base_.imagenet_weights.mobilenet_v2,
    ),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=1280, threshold=0.6),
    data_preprocessor=_base_.imagenet_norm,
)
