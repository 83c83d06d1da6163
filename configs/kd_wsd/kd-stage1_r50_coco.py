# KD-WSD, stage 1: ResNet-50 learns the teacher's features of regions on COCO.
_base_ = [
    '../_base_/coco14_distillation.py',
    '../_base_/distillation_stage1_schedule.py',
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
            init_cfg=dict(
                # mmengine knows this one type without scope only.
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
                'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
                prefix='backbone',
            ),
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
    ),
    losses=dict(
        features=dict(type='mmmlc.RoIFeatureLoss', student_channels=2048, teacher_channels=2048),
    ),
    update='backbone',
    label_weight=0.0,
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

val_dataloader = None
val_evaluator = None
