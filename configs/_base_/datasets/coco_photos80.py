# CocoPhotos with all 80 classes. Some have two validation images only: compare models on the 47
# classes of coco_photos.py.
num_classes = 80
data_root = 'data/coco_photos'

train_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        keep_unlabelled=True,
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img_path='images'),
    ),
)
val_dataloader = dict(
    batch_size=32,  # per process
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        keep_unlabelled=True,
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img_path='images'),
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
