# MCAR, ResNet-50, 448 x 448. The paper: 82.1 mAP on COCO14 val.
_base_ = [
    '../_base_/models/mcar_r50.py',
    '../_base_/datasets/coco14_bs16_jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, pooling='gwp'))
