# A check of the model on a few real images: learn the 126 labelled training images of COCO128 by
# heart, from scratch, in minutes on a CPU. Not a benchmark. Measured on these images: mAP 100.0.
_base_ = [
    '../_base_/models/rdal.py',
    '../_base_/models/imagenet.py',
    '../_base_/datasets/coco128_bs8_160.py',
    '../_base_/schedules/coco128_adamw_48e.py',
    '../_base_/runtimes/cpu.py',
]

model = dict(
    backbone=dict(type='mmpretrain.ResNet', depth=18),
    neck=dict(
        num_classes=_base_.num_classes,
        in_channels=512,
        sampled_size=6,
        feature_width=256,
        hidden_width=256,
    ),
    head=dict(num_classes=_base_.num_classes, loss='bce'),
    data_preprocessor=_base_.imagenet_norm,
)
default_hooks = dict(logger=dict(interval=10))

val_evaluator = dict(also=('softmax_score',))
test_evaluator = val_evaluator

# One-cycle would give every layer the same rate, see rdal_toy_2e.py.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'localisation': dict(lr_mult=0.1)}))
param_scheduler = [
    dict(type='mmengine.LinearLR', start_factor=0.04, by_epoch=False, end=100),
    dict(
        type='mmengine.CosineAnnealingLR',
        T_max=40,  # epochs; as many as max_epochs
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=40, val_interval=20)
