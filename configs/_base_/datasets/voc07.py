# PASCAL VOC 2007: 5,011 trainval and 4,952 test images, 20 classes.
num_classes = 20
data_root = 'data/VOCdevkit/VOC2007'

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.VOC',
        data_root=data_root,
        split='trainval',
        difficult='positive',  # as MCAR's authors train; AP ignores them
    ),
)
val_dataloader = dict(
    batch_size=16,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(type='mmmlc.VOC', data_root=data_root, split='test', test_mode=True),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
