# Smooth maximum on ToyScenes, from scratch.
_base_ = [
    '../_base_/models/smooth_max_r18_toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/cpu.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
