# COCO 2017: the images of 2014, divided anew: 118,287 for training, 5,000 for validation; 117,266
# and 4,952 have labels.
num_classes = 80
data_root = 'data/coco'

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img_path='train2017'),
    ),
)
val_dataloader = dict(
    batch_size=16,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img_path='val2017'),
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
