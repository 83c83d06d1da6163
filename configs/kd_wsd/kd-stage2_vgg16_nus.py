# KD-WSD, stage 2: VGG-16 learns labels and the teacher's predictions on NUS-WIDE, from the student
# that stage 1 exported. There, fc6 and fc7 are those of ImageNet and the classifier is as
# initialised. The paper: 60.1 mAP on NUS-WIDE (Table 2), of another split.
_base_ = [
    '../_base_/models/kd_wsd_stage2_vgg16.py',
    '../_base_/datasets/kd_wsd_nus_distillation.py',
    '../_base_/schedules/kd_wsd_stage2.py',
    '../_base_/runtimes/kd_wsd_vgg16_nus.py',
]

model = dict(
    student=dict(
        head=dict(num_classes=_base_.num_classes),
        init_cfg=dict(checkpoint='work_dirs/kd-stage1_vgg16_nus/student_epoch_100.pth'),
    ),
    losses=dict(predictions=dict(num_classes=_base_.num_classes)),
)
val_evaluator = [_base_.val_evaluator, dict(type='mmmlc.ValidationLoss')]
