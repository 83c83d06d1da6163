# MsDPD on ToyScenes, step 2, end to end: starts from a trained mcar/baseline_r18_toy.py.
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
        out_indices=(1, 2),
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/baseline_r18_toy/epoch_5.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MsDPDHead',
        num_classes=20,
        in_channels=(32, 64),  # maps of 12 x 12 and 6 x 6
        num_parts=(60, 60),
        plain_channels=64,
        ridge=(0.01, 0.1),  # docs/msdpd.md: tuned for each scale
        instances=32,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
)
custom_hooks = [
    dict(type='mmmlc.PartMiningHook', clusters=(150, 150), locations=20000),
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ChannelsLastHook'),
]

# Low: the classifiers start fitted to their features, and the gradient that reaches the network
# through sharp detectors is large. At 0.005 it loses more in this epoch than it gains.
optim_wrapper = dict(optimizer=dict(lr=0.0003))
param_scheduler = dict(eta_max=0.0003, total_steps=1)
train_cfg = dict(max_epochs=1)
