# Swin-B, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/coco14_448_modern.py',
    '../_base_/modern_schedule.py',
    '../_base_/modern_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.SwinTransformer',
        arch='base',
        img_size=448,
        drop_path_rate=0.2,
        stage_cfgs=dict(block_cfgs=dict(window_size=12)),
        pad_small_map=True,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/swin-transformer/convert/'
            'swin_base_patch4_window12_384_22kto1k-d59b0d1d.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=80,
        in_channels=1024,
        pooling='gap',
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
