# Learning the images of COCO128 by heart: one-cycle AdamW over 48 epochs.
optim_wrapper = dict(
    type='mmengine.OptimWrapper', optimizer=dict(type='mmengine.AdamW', lr=1e-3, weight_decay=0.0)
)
param_scheduler = dict(
    type='mmengine.OneCycleLR',
    eta_max=1e-3,
    total_steps=48,  # epochs; as many as max_epochs
    by_epoch=True,
    convert_to_iter_based=True,
)
train_cfg = dict(by_epoch=True, max_epochs=48, val_interval=16)
val_cfg = dict()
test_cfg = dict()
