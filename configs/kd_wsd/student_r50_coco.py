# KD-WSD's student alone (S-Cls without distillation), ResNet-50 at 224; also the config of exported
# students. The paper has no such number. The schedule is that of stage 2.
_base_ = [
    '../_base_/coco14_224.py',
    '../_base_/distillation_stage2_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
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
)

# Where the mAP saturates: this head writes no loss of validation images.
param_scheduler = dict(monitor='mAP', rule='greater')
