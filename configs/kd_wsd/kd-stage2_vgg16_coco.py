# KD-WSD, stage 2: VGG-16 learns labels and the teacher's predictions on COCO, from the student that
# stage 1 exported. There, fc6 and fc7 are those of ImageNet and the classifier is as initialised.
# The paper: 74.6 mAP on COCO 2014 val (Table 1).
_base_ = [
    '../_base_/models/kd_wsd_stage2_vgg16.py',
    '../_base_/datasets/kd_wsd_coco14_distillation.py',
    '../_base_/schedules/kd_wsd_stage2.py',
    '../_base_/runtimes/kd_wsd_vgg16_coco.py',
]

model = dict(
    student=dict(
        head=dict(num_classes=_base_.num_classes),
        init_cfg=dict(checkpoint='work_dirs/kd-stage1_vgg16_coco/student_epoch_100.pth'),
    ),
    losses=dict(predictions=dict(num_classes=_base_.num_classes)),
)
val_evaluator = [_base_.val_evaluator, dict(type='mmmlc.ValidationLoss')]
