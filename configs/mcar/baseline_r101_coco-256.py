# Plain baseline of MCAR, ResNet-101, 256 x 256. The paper: 71.2 mAP on COCO14 val.
_base_ = [
    '../_base_/models/r101.py',
    '../_base_/datasets/mcar_coco14_bs16_jitter256.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, threshold=0.6))
