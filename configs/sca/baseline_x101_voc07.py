# Plain baseline beside SCA-DNN: ResNeXt-101 (32 x 4d), 448 x 448. The schedule is
# that of the other plain baselines. The slides have no such number.
_base_ = [
    '../_base_/models/sca_baseline_x101.py',
    '../_base_/datasets/voc07_bs16_jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))

val_evaluator = dict(threshold=0.5)
test_evaluator = val_evaluator
