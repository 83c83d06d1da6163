# KD-WSD gives batch 32, momentum 0.9 and weight decay 5e-4 for the teacher, no learning rate and no
# number of epochs. These are WSDDN's: 20 epochs, 1e-5 and a tenth of it from the 11th on, for a
# batch of one image; here the loss is the mean of 32. The two new layers learn ten times as fast,
# as in the network definition of KD-WSD's authors.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=3.2e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(
        custom_keys={
            'head.class_branch': dict(lr_mult=10.0),
            'head.detection_branch': dict(lr_mult=10.0),
        }
    ),
)
# For tools/train.py --auto-scale-lr.
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[10], gamma=0.1)

train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=5)
val_cfg = dict()
test_cfg = dict()
