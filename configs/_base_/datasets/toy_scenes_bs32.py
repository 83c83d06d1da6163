# ToyScenes, batches of 32, flips. python tools/make_toy_scenes.py writes it to data/toy_scenes.
num_classes = 20
data_root = 'data/toy_scenes'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.PackInputs'),
]

train_dataloader = dict(
    batch_size=32,  # in total, shared by all processes
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img_path='train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,  # per process
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img_path='val'),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
