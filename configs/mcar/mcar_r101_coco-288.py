# MCAR, ResNet-101, 288 x 288. The paper: 80.5 mAP on COCO14 val.
_base_ = [
    '../_base_/models/mcar_r101.py',
    '../_base_/datasets/mcar_coco14_bs16_jitter288.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, pooling='gwp'))
