# MCAR, ResNet-50, 256 x 256. The paper: 92.3 mAP on VOC07 test.
_base_ = [
    '../_base_/models/mcar_r50.py',
    '../_base_/datasets/mcar_voc07_bs16_jitter256.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, pooling='gap'))
