# KD-WSD's student alone (S-Cls without distillation), VGG-16 at 224; also the config of exported
# students. The paper: 55.6 mAP on NUS-WIDE (Table 3), of another split. The schedule is that of
# stage 2.
_base_ = [
    '../_base_/models/kd_wsd_student_vgg16.py',
    '../_base_/datasets/kd_wsd_nus_student.py',
    '../_base_/schedules/kd_wsd_stage2.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
val_evaluator = [_base_.val_evaluator, dict(type='mmmlc.ValidationLoss')]
