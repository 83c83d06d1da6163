# The slides have no schedule. This is mmdet's for Faster R-CNN over 12 epochs: SGD, 0.02 for a
# total batch of 16, a tenth of it after 8 and after 11 epochs.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
)
# For tools/train.py --auto-scale-lr.
auto_scale_lr = dict(base_batch_size=16, enable=False)
param_scheduler = [
    dict(type='mmengine.LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[8, 11], gamma=0.1),
]

train_cfg = dict(by_epoch=True, max_epochs=12, val_interval=1)
val_cfg = dict()
test_cfg = dict()
