# From scratch in minutes on two CPU cores: one-cycle SGD over 5 epochs.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=0.5, momentum=0.9, weight_decay=5e-4),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(
    type='mmengine.OneCycleLR',
    eta_max=0.5,
    total_steps=5,  # epochs; as many as max_epochs
    by_epoch=True,
    convert_to_iter_based=True,
)

train_cfg = dict(by_epoch=True, max_epochs=5, val_interval=1)
val_cfg = dict()
test_cfg = dict()
