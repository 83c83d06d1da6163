# RDAL's step 2 on ToyScenes. The backbone is trained, the neck is new. At 5e-3 regions leave the
# map, where they see zeros, get no gradient and stay.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.AdamW', lr=2e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
# Not mmengine's one-cycle, which gives every parameter the same rate.
param_scheduler = dict(
    type='mmengine.CosineAnnealingLR',
    T_max=2,  # epochs; as many as max_epochs
    by_epoch=True,
    convert_to_iter_based=True,
)

train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
val_cfg = dict()
test_cfg = dict()
