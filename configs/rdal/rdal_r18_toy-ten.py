# RDAL on ToyScenes, tested on ten views cut from the feature map: checkpoints of rdal_r18_toy.py.
_base_ = [
    '../_base_/toy_scenes.py',
    '../_base_/toy_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.TenViews',
    classifier='mmpretrain.ImageClassifier',
    mode='features',
    margin=16,  # one cell
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
    neck=dict(
        type='mmmlc.RecurrentAttention',
        in_channels=64,
        num_classes=20,
        num_regions=5,
        sampled_size=6,
        pool=2,
        feature_width=256,
        hidden_width=256,
    ),
    head=dict(
        type='mmmlc.RecurrentAttentionHead',
        num_classes=20,
        loss='bce',
        constraints=dict(type='mmmlc.RegionConstraintLoss', anchor=True, scale=True, positive=True),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
