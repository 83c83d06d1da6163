# MsDPD, step 1: 1e-4 for the network, ten times as much for the new layers. A config says how many
# epochs, of which the last quarter has a tenth of it.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=1e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'neck': dict(lr_mult=10.0), 'head': dict(lr_mult=10.0)}),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, gamma=0.1)

train_cfg = dict(by_epoch=True, val_interval=10)
val_cfg = dict()
test_cfg = dict()
