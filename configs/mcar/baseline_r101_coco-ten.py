# The plain baseline tested on ten views of its feature map: checkpoints of baseline_r101_coco.py.
# Not in MCAR's paper.
_base_ = [
    '../_base_/models/r101.py',
    '../_base_/datasets/coco14_bs16_jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.TenViews',
    classifier='mmpretrain.ImageClassifier',
    mode='features',
    head=dict(num_classes=_base_.num_classes, threshold=0.6),
)
