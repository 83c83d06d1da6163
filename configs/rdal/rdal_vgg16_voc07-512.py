# RDAL, step 2: VGG-16 at 512, from the last checkpoint of baseline_vgg16_voc07-512.py.
# The paper: 90.4 mAP on VOC07 test with one crop, 91.3 with ten.
_base_ = [
    '../_base_/models/rdal_vgg16.py',
    '../_base_/datasets/rdal_voc07_bs16_crop512.py',
    '../_base_/schedules/rdal_step2.py',
    '../_base_/runtimes/rdal_best_loss.py',
]

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/baseline_vgg16_voc07-512/epoch_45.pth')),
    neck=dict(num_classes=_base_.num_classes),
    head=dict(num_classes=_base_.num_classes),
)
val_evaluator = [_base_.val_evaluator, dict(type='mmmlc.ValidationLoss')]
