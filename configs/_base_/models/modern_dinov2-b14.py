# DINOv2 ViT-B/14 of timm with the asymmetric loss.
_base_ = './imagenet.py'

model = dict(
    type='mmpretrain.ImageClassifier',
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
        in_channels=768,
        pooling='gap',
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
    data_preprocessor=_base_.imagenet_norm,
)
