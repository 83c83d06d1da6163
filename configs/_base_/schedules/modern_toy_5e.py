# From scratch in minutes on two CPU cores: AdamW, a warm-up over the first of 5 epochs, a cosine.
_base_ = './modern_adamw_40e.py'

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
