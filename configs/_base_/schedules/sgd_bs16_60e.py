# MCAR, Section IV-A: SGD, 0.001 for the backbone and 0.01 for the 1x1 convolution, divided by 10 at
# epochs 30 and 50 of 60. They belong to a loss averaged over classes and a total batch of 16.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=0.001, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'head.classifier': dict(lr_mult=10.0)}),
)
# For tools/train.py --auto-scale-lr.
auto_scale_lr = dict(base_batch_size=16, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[30, 50], gamma=0.1)

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=5)
val_cfg = dict()
test_cfg = dict()
