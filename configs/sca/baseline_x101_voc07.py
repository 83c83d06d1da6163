# Plain baseline beside SCA-DNN: ResNeXt-101 (32 x 4d), 448 x 448. The schedule is
# that of the other plain baselines. The slides have no such number.
_base_ = [
    '../_base_/voc07_448.py',
    '../_base_/mcar_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.ResNeXt',
        depth=101,
        groups=32,
        width_per_group=4,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnext/'
            'resnext101_32x4d_b32x8_imagenet_20210506-e0fa3dd5.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=20,
        in_channels=2048,
        pooling='gap',
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)

val_evaluator = dict(threshold=0.5)
test_evaluator = dict(threshold=0.5)
