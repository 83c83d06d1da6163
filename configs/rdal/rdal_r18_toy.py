# RDAL on ToyScenes, step 2, from the last checkpoint of configs/mcar/baseline_r18_toy.py.
_base_ = [
    '../_base_/models/rdal_toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/rdal_toy_2e.py',
    '../_base_/runtimes/rdal_cpu.py',
]

model = dict(
    backbone=dict(init_cfg=_base_.toy_weights),
    neck=dict(num_classes=_base_.num_classes),
    head=dict(num_classes=_base_.num_classes),
)

# Also report the softmax.
val_evaluator = [
    dict(_base_.val_evaluator, also=('softmax_score',)),
    dict(type='mmmlc.ValidationLoss'),
]
test_evaluator = dict(also=('softmax_score',))
