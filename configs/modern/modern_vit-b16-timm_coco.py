# ViT-B/16 of timm, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/models/modern_classifier.py',
    '../_base_/datasets/modern_coco14_bs128_randaug448.py',
    '../_base_/schedules/modern_adamw_40e.py',
    '../_base_/runtimes/modern_ema.py',
]

model = dict(
    backbone=dict(
        type='mmmlc.TIMMFeatureMap',
        model_name='vit_base_patch16_224.augreg_in21k',
        pretrained=True,
        img_size=448,
        dynamic_img_size=True,
        drop_path_rate=0.1,
    ),
    head=dict(num_classes=_base_.num_classes, in_channels=768),
    # Of these weights.
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
)
