# RDAL on ToyScenes, tested on ten views cut from the feature map: checkpoints of rdal_r18_toy.py.
_base_ = [
    '../_base_/models/rdal_toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/cpu.py',
]

model = dict(
    type='mmmlc.TenViews',
    classifier='mmpretrain.ImageClassifier',
    mode='features',
    margin=16,  # one cell
    neck=dict(num_classes=_base_.num_classes),
    head=dict(num_classes=_base_.num_classes),
)
