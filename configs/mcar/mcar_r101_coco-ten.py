# MCAR tested on ten crops of the image: checkpoints of mcar_r101_coco.py. Not in the paper.
_base_ = [
    '../_base_/models/mcar_r101.py',
    '../_base_/datasets/coco14_bs16_jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.TenViews',
    classifier='mmmlc.MCAR',
    mode='images',
    head=dict(num_classes=_base_.num_classes, pooling='gwp'),
)
