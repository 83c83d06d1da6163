# KD-WSD, stage 2: VGG-16 learns labels and the teacher's predictions on COCO, from the student that
# stage 1 exported. There, fc6 and fc7 are those of ImageNet and the classifier is as initialised.
# The paper: 74.6 mAP on COCO 2014 val (Table 1).
_base_ = [
    '../_base_/coco14_distillation.py',
    '../_base_/distillation_stage2_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.Distiller',
    student=dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(
            type='mmpretrain.VGG',
            depth=16,
            with_last_pool=False,  # conv5_3; the head pools
        ),
        head=dict(
            type='mmmlc.VGGHead',
            num_classes=80,
        ),
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            to_rgb=True,
        ),
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/kd-stage1_vgg16_coco/student_epoch_100.pth',
        ),
    ),
    losses=dict(
        predictions=dict(type='mmmlc.ClassAwareLoss', num_classes=80, num_proposals=500),
    ),
    student_size=224,
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(
        type='mmmlc.TeacherHook',
        config='configs/kd_wsd/teacher_vgg16_coco.py',
        checkpoint='work_dirs/teacher_vgg16_coco/epoch_20.pth',
    ),
]

val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3),
    dict(type='mmmlc.ValidationLoss'),
]
