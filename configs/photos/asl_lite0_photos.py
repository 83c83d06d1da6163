# Asymmetric loss (ICCV 2021) on weighted pooling, EfficientNet-Lite0, 160 x 160, CocoPhotos.
_base_ = [
    '../_base_/models/lite0.py',
    '../_base_/datasets/coco_photos_bs16_160.py',
    '../_base_/schedules/adamw_8e_cpu.py',
]

model = dict(
    head=dict(
        num_classes=_base_.num_classes,
        pooling='gwp',
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
)
