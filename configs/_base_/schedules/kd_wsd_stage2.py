# KD-WSD, Section 3.3, predictions: SGD, 1e-4, a tenth of it when the validation loss saturates, a
# total batch of 32. How many epochs is not said; ours is 40, three of them without a lower loss.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=1e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'temperature': dict(decay_mult=0.0)}),
)
# For tools/train.py --auto-scale-lr.
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(
    type='mmengine.ReduceOnPlateauLR', monitor='loss', rule='less', factor=0.1, patience=2
)

train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=1)
val_cfg = dict()
test_cfg = dict()
