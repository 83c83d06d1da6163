# KD-WSD, stage 2: VGG-16 learns labels and the teacher's predictions on VOC 2007, from the student
# that stage 1 exported. There, fc6 and fc7 are those of ImageNet and the classifier is as
# initialised. The paper has no such number.
_base_ = [
    '../_base_/models/kd_wsd_stage2_vgg16.py',
    '../_base_/datasets/kd_wsd_voc07_distillation.py',
    '../_base_/schedules/kd_wsd_stage2.py',
    '../_base_/runtimes/kd_wsd_vgg16_voc07.py',
]

model = dict(
    student=dict(
        head=dict(num_classes=_base_.num_classes),
        init_cfg=dict(checkpoint='work_dirs/kd-stage1_vgg16_voc07/student_epoch_100.pth'),
    ),
    losses=dict(predictions=dict(num_classes=_base_.num_classes)),
)
val_evaluator = [_base_.val_evaluator, dict(type='mmmlc.ValidationLoss')]
