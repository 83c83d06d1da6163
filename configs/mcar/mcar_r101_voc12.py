# MCAR, ResNet-101, 448 x 448. The paper: 94.3 mAP on VOC12 test, by the
# evaluation server. It does not say with which pooling: this is the best of VOC07.
_base_ = [
    '../_base_/models/mcar_r101.py',
    '../_base_/datasets/mcar_voc12_bs16_jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, pooling='gap'))

val_cfg = None
test_evaluator = dict(out_dir='work_dirs/mcar_r101_voc12')
