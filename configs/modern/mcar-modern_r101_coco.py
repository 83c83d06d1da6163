# MCAR, ResNet-101, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/models/modern_classifier.py',
    '../_base_/datasets/modern_coco14_bs128_randaug448.py',
    '../_base_/schedules/modern_adamw_40e.py',
    '../_base_/runtimes/modern_ema.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    backbone=dict(type='mmpretrain.ResNet', depth=101, init_cfg=_base_.imagenet_weights.resnet101),
    head=dict(num_classes=_base_.num_classes, in_channels=2048, pooling='gwp'),
)
