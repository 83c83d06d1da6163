# CSRA (ICCV 2021) as in mmpretrain, EfficientNet-Lite0, 160 x 160, CocoPhotos.
_base_ = [
    '../_base_/models/lite0.py',
    '../_base_/datasets/coco_photos_bs16_160.py',
    '../_base_/schedules/adamw_4e_cpu.py',
]

model = dict(
    head=dict(
        _delete_=True,
        type='mmpretrain.CSRAClsHead',
        num_classes=_base_.num_classes,
        in_channels=1280,
        num_heads=1,
        lam=0.1,
        # A sum over classes: AdamW makes the same steps as with their mean.
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
