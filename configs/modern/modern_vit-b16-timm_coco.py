# ViT-B/16 of timm, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/coco14_448_modern.py',
    '../_base_/modern_schedule.py',
    '../_base_/modern_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmmlc.TIMMFeatureMap',
        model_name='vit_base_patch16_224.augreg_in21k',
        pretrained=True,
        img_size=448,
        dynamic_img_size=True,
        drop_path_rate=0.1,
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=80,
        in_channels=768,
        pooling='gap',
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        to_rgb=True,
    ),
)
