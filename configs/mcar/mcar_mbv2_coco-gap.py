# MCAR, MobileNet-v2 with average pooling, 448 x 448. The paper: 74.3 mAP on COCO14 val.
# The authors' script trains this one differently.
_base_ = [
    '../_base_/models/mcar_mbv2.py',
    '../_base_/datasets/coco14_bs16_jitter448.py',
    '../_base_/schedules/mcar_gap_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, pooling='gap'))
