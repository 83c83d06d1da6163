# MCAR, DINOv2 ViT-B/14 of timm, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/coco14_448_modern.py',
    '../_base_/modern_schedule.py',
    '../_base_/modern_runtime.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    backbone=dict(
        type='mmmlc.TIMMFeatureMap',
        # 448 is 32 patches of 14.
        model_name='vit_base_patch14_dinov2.lvd142m',
        pretrained=True,
        img_size=448,
        dynamic_img_size=True,
        drop_path_rate=0.1,
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=80,
        in_channels=768,
        pooling='gwp',
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
