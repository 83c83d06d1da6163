# A check of the model on a few real images: learn the 126 labelled training images of COCO128 by
# heart, from scratch, in minutes on a CPU. Not a benchmark. Measured on these images: mAP 100.0.
_base_ = ['../_base_/default_runtime.py']

data_root = 'data/coco128'

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.ResNet', depth=18),
    neck=dict(
        type='mmmlc.RecurrentAttention',
        in_channels=512,
        num_classes=80,
        num_regions=5,
        sampled_size=6,
        pool=2,
        feature_width=256,
        hidden_width=256,
    ),
    head=dict(
        type='mmmlc.RecurrentAttentionHead',
        num_classes=80,
        loss='bce',
        constraints=dict(type='mmmlc.RegionConstraintLoss', anchor=True, scale=True, positive=True),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
default_hooks = dict(logger=dict(interval=10))

pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(160, 160), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img_path='images/train'),
        pipeline=pipeline,
    ),
)
# The training images again: the question is whether they are learnt.
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img_path='images/train'),
        pipeline=pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, also=('softmax_score',))
test_evaluator = val_evaluator

# One-cycle would give every layer the same rate, see rdal_r18_toy.py.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.AdamW', lr=1e-3, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'localisation': dict(lr_mult=0.1)}),
)
param_scheduler = [
    dict(type='mmengine.LinearLR', start_factor=0.04, by_epoch=False, end=100),
    dict(
        type='mmengine.CosineAnnealingLR',
        T_max=40,  # epochs; as many as max_epochs
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=20)
val_cfg = dict()
test_cfg = dict()
