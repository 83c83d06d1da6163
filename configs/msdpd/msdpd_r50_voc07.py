# MsDPD on ResNet-50, end to end, on VOC07, without mmdet. Not in the paper.
_base_ = [
    '../_base_/models/r50.py',
    '../_base_/datasets/voc07_bs16_jitter448.py',
    '../_base_/schedules/msdpd_step1.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(out_indices=(1, 2, 3)),
    head=dict(
        _delete_=True,
        type='mmmlc.MsDPDHead',
        num_classes=_base_.num_classes,
        in_channels=(512, 1024, 2048),  # maps of 56, 28 and 14 cells a side
        num_parts=(700, 400, 300),
        plain_channels=2048,
        ridge=0.01,
        instances=32,
    ),
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    # Again every 10 epochs: the backbone, ImageNet's at first, learns the classes meanwhile.
    dict(type='mmmlc.PartMiningHook', clusters=(2000, 1000, 400), locations=100_000, every=10),
]

optim_wrapper = dict(
    optimizer=dict(lr=0.001),
    paramwise_cfg=dict(_delete_=True, custom_keys={'head': dict(lr_mult=10.0)}),
)
param_scheduler = dict(milestones=[30])
train_cfg = dict(max_epochs=40)
