# KD-WSD, stage 1: VGG-16 learns the teacher's features of regions on COCO.
_base_ = [
    '../_base_/models/kd_wsd_stage1_vgg16.py',
    '../_base_/datasets/kd_wsd_coco14_distillation.py',
    '../_base_/schedules/kd_wsd_stage1.py',
    '../_base_/runtimes/kd_wsd_vgg16_coco.py',
]

model = dict(student=dict(head=dict(num_classes=_base_.num_classes)))

val_dataloader = None
val_evaluator = None
