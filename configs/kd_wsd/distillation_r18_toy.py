# Plain distillation (Hinton et al., 2015) on ToyScenes, from scratch, for comparison with KD-WSD.
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
        predictions=dict(
            type='mmmlc.PlainDistillationLoss',
            teacher_temperature=1.0,
            student_temperature=5.0,
            weight=0.05,  # the head's loss here is the mean over 20 classes
        ),
    ),
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

param_scheduler = dict(total_steps=3)
train_cfg = dict(max_epochs=3)
