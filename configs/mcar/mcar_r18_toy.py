# MCAR on ToyScenes, from scratch, minutes on two CPU cores.
_base_ = [
    '../_base_/models/r18_toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/cpu.py',
]

model = dict(type='mmmlc.MCAR', topn=4, tau=0.5, head=dict(num_classes=_base_.num_classes))

# Also report each stream alone.
val_evaluator = dict(also=('global_score', 'local_score'))
test_evaluator = val_evaluator
