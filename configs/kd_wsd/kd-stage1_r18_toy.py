# KD-WSD, stage 1 on ToyScenes, from scratch: the teacher's features of regions.
_base_ = [
    '../_base_/toy_scenes.py',
    '../_base_/toy_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.Distiller',
    student=dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(
            # As in mcar/baseline_r18_toy.py.
            type='mmpretrain.ResNet',
            depth=18,
            stem_channels=16,
            base_channels=16,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
        ),
        head=dict(
            type='mmmlc.MultiLabelConvHead',
            num_classes=20,
            in_channels=64,
            pooling='gwp',
        ),
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor',
            mean=[127.5, 127.5, 127.5],
            std=[64.0, 64.0, 64.0],
            to_rgb=True,
        ),
    ),
    losses=dict(
        features=dict(
            type='mmmlc.RoIFeatureLoss',
            student_channels=64,
            teacher_channels=64,
            weight=0.1,  # about 100 at the start without it, too much for this learning rate
        ),
    ),
    update='backbone',
    label_weight=0.0,
    teacher_size=144,
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    dict(
        type='mmmlc.TeacherHook',
        config='configs/kd_wsd/teacher_r18_toy.py',
        checkpoint='work_dirs/teacher_r18_toy/epoch_1.pth',
    ),
]

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/toy_scenes/proposals_train.prop', topk=200),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = None
val_evaluator = None
val_cfg = None
param_scheduler = dict(total_steps=2)
train_cfg = dict(max_epochs=2)
