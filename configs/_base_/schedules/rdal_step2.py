# RDAL, Section 5.1: Adam, 0.00001, divided by 10 after 30 of 45 epochs, a total batch of 16.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.Adam', lr=1e-5, betas=(0.9, 0.999)),
)
# For tools/train.py --auto-scale-lr.
auto_scale_lr = dict(base_batch_size=16, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[30], gamma=0.1)

train_cfg = dict(by_epoch=True, max_epochs=45, val_interval=1)
val_cfg = dict()
test_cfg = dict()
