# The modern recipe on ToyScenes, from scratch, minutes on two CPU cores.
_base_ = [
    '../_base_/models/r18_toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/modern_adamw_40e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    head=dict(
        num_classes=_base_.num_classes,
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
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
    _delete_=True,
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.AdamW', lr=1e-2, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
# The same warm-up, then a shorter cosine.
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=5, T_max=4),
]
auto_scale_lr = dict(base_batch_size=32)

train_cfg = dict(max_epochs=5)
