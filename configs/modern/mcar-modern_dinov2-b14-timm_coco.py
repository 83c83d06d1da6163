# MCAR, DINOv2 ViT-B/14 of timm, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/models/modern_dinov2-b14.py',
    '../_base_/datasets/modern_coco14_bs128_randaug448.py',
    '../_base_/schedules/modern_adamw_40e.py',
    '../_base_/runtimes/modern_ema.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    head=dict(num_classes=_base_.num_classes, pooling='gwp'),
)
