# MsDPD on ToyScenes, step 2, end to end: starts from a trained mcar/baseline_r18_toy.py.
_base_ = [
    '../_base_/models/r18_toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        out_indices=(1, 2),
        init_cfg=_base_.toy_weights,
    ),
    head=dict(
        _delete_=True,
        type='mmmlc.MsDPDHead',
        num_classes=_base_.num_classes,
        in_channels=(32, 64),  # maps of 12 x 12 and 6 x 6
        num_parts=(60, 60),
        plain_channels=64,
        ridge=(0.01, 0.1),  # docs/msdpd.md: tuned for each scale
        instances=32,
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
