# RDAL tested on ten views at 512, one pass of the backbone: checkpoints of
# rdal_vgg16_coco-512.py. The paper: 72.2 mAP on COCO14 val, by SVMs (tools/svm_eval.py).
_base_ = [
    '../_base_/models/rdal_vgg16.py',
    '../_base_/datasets/rdal_coco14_bs16_crop512.py',
    '../_base_/schedules/rdal_step2.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.TenViews',
    classifier='mmpretrain.ImageClassifier',
    mode='features',
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/baseline_vgg16_coco-512/epoch_45.pth')),
    neck=dict(num_classes=_base_.num_classes),
    head=dict(num_classes=_base_.num_classes),
)
