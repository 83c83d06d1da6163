# KD-WSD, Section 3.3, features: SGD, 1e-5 fixed for about 100 epochs, a total batch of 32. There is
# nothing to validate: the head is not trained.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=1e-5, momentum=0.9, weight_decay=5e-4),
)
# For tools/train.py --auto-scale-lr.
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = None

train_cfg = dict(by_epoch=True, max_epochs=100)
val_cfg = None
test_cfg = dict()
