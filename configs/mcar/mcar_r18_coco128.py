# A check of the model on a few real images: learn the 126 labelled training images of COCO128 by
# heart, from scratch, in 20 minutes on two CPU cores. Not a benchmark. Measured on these images:
# mAP 99.8, of the global stream alone 100.0, of the local one 72.6.
_base_ = [
    '../_base_/models/imagenet.py',
    '../_base_/datasets/coco128_bs8_160.py',
    '../_base_/schedules/coco128_adamw_48e.py',
    '../_base_/runtimes/cpu.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=2,  # enough for the purpose
    tau=0.5,
    backbone=dict(type='mmpretrain.ResNet', depth=18),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=_base_.num_classes,
        in_channels=512,
        pooling='gwp',
    ),
    data_preprocessor=_base_.imagenet_norm,
)
default_hooks = dict(logger=dict(interval=10))

val_evaluator = dict(also=('global_score', 'local_score'))
test_evaluator = val_evaluator
