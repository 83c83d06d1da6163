# The modern recipe on ToyScenes, from scratch, minutes on two CPU cores.
_base_ = [
    '../_base_/toy_scenes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        # A quarter of the width of ResNet-18, without its last stage: maps of 6 x 6, where 3 x 3
        # could not tell objects of 96-pixel images apart.
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
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    dict(
        type='mmengine.EMAHook',
        ema_type='mmengine.ExponentialMovingAverage',
        momentum=0.02,  # over 63 steps an epoch
        update_buffers=True,
    ),
]

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmpretrain.Cutout', shape=24, pad_val=128, prob=0.5),
    # Shapes and colours make the classes: only mild changes of both.
    dict(
        type='mmpretrain.RandAugment',
        policies=[
            dict(type='mmpretrain.Brightness', magnitude_range=(0, 0.3)),
            dict(type='mmpretrain.Contrast', magnitude_range=(0, 0.3)),
            dict(type='mmpretrain.Sharpness', magnitude_range=(0, 0.9)),
        ],
        num_policies=1,
        magnitude_level=5,
    ),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(with_boxes=False, pipeline=train_pipeline))

optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.AdamW', lr=1e-2, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type='mmengine.LinearLR',
        start_factor=0.01,
        begin=0,
        end=1,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type='mmengine.CosineAnnealingLR',
        begin=1,
        end=5,
        T_max=4,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=32, enable=False)

train_cfg = dict(by_epoch=True, max_epochs=5, val_interval=1)
val_cfg = dict()
test_cfg = dict()
