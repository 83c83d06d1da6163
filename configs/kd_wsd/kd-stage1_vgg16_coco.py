# KD-WSD, stage 1: VGG-16 learns the teacher's features of regions on COCO.
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
            type='mmpretrain.VGG',
            depth=16,
            with_last_pool=False,  # conv5_3; the head pools
            init_cfg=dict(
                # mmengine knows this one type without scope only.
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
                'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
                prefix='backbone',
            ),
        ),
        head=dict(
            type='mmmlc.VGGHead',
            num_classes=80,
            fcs_init=dict(
                # fc6 and fc7; the log names the classifier's last layer as not used.
                # mmengine knows this one type without scope only.
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
                'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
                prefix='backbone.classifier',
            ),
        ),
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            to_rgb=True,
        ),
    ),
    losses=dict(
        features=dict(type='mmmlc.RoIFeatureLoss', student_channels=512, teacher_channels=512),
    ),
    update='backbone',
    label_weight=0.0,
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

val_dataloader = None
val_evaluator = None
