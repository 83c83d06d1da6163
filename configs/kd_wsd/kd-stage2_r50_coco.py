# KD-WSD, stage 2: ResNet-50 learns labels and the teacher's predictions on COCO, from the student
# that stage 1 exported. The classifier is there as initialised. The paper has no such number.
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
            type='mmpretrain.ResNet',
            depth=50,
            norm_eval=True,
        ),
        head=dict(
            type='mmmlc.MultiLabelConvHead',
            num_classes=80,
            in_channels=2048,
            # Summed over classes, as Eq. 10.
            loss=dict(type='mmmlc.MultiLabelBCELoss', weight=80.0),
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
            checkpoint='work_dirs/kd-stage1_r50_coco/student_epoch_100.pth',
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
        config='configs/kd_wsd/teacher_r50_coco.py',
        checkpoint='work_dirs/teacher_r50_coco/epoch_20.pth',
    ),
]

# Where the mAP saturates: this head writes no loss of validation images.
param_scheduler = dict(monitor='mAP', rule='greater')
