# Plain baseline of MCAR on ToyScenes, from scratch, minutes on two CPU cores.
_base_ = [
    '../_base_/toy_scenes.py',
    '../_base_/toy_schedule.py',
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
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
