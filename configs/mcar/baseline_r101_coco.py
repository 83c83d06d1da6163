# Plain baseline of MCAR, ResNet-101, 448 x 448. The paper: 77.1 mAP on COCO14 val.
_base_ = [
    '../_base_/models/r101.py',
    '../_base_/datasets/coco14_bs16_jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, threshold=0.6))
