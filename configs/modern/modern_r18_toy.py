# The modern recipe on ToyScenes, from scratch, minutes on two CPU cores.
_base_ = [
    '../_base_/models/r18_toy.py',
    '../_base_/datasets/modern_toy_bs32_randaug.py',
    '../_base_/schedules/modern_toy_5e.py',
    '../_base_/runtimes/modern_toy_ema.py',
]

model = dict(
    head=dict(
        num_classes=_base_.num_classes,
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
)
