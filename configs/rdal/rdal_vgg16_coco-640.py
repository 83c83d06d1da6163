# RDAL, step 2: VGG-16 at 640, from the last checkpoint of baseline_vgg16_coco-640.py.
# The paper: 70.5 mAP on COCO val2014 with one crop, 72.3 with ten.
_base_ = [
    '../_base_/models/rdal_vgg16.py',
    '../_base_/datasets/rdal_coco14_bs16_crop640.py',
    '../_base_/schedules/rdal_step2.py',
    '../_base_/runtimes/rdal_best_loss.py',
]

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/baseline_vgg16_coco-640/epoch_45.pth')),
    neck=dict(num_classes=_base_.num_classes),
    head=dict(num_classes=_base_.num_classes),
)
val_evaluator = [_base_.val_evaluator, dict(type='mmmlc.ValidationLoss')]
