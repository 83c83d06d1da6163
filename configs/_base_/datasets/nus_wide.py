# NUS-WIDE: 81 concepts, images without any left out. The split is that of the data set's authors.
# KD-WSD has 150,000 training and 59,347 test images of another; with its lists, give
# image_list='...' in place of split.
num_classes = 81
data_root = 'data/nus_wide'

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(type='mmmlc.NUSWIDE', data_root=data_root, split='train'),
)
val_dataloader = dict(
    batch_size=16,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(type='mmmlc.NUSWIDE', data_root=data_root, split='test', test_mode=True),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
