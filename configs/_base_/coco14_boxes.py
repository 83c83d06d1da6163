# COCO 2014 with its boxes, images of every size: all 82,783 training and 40,504 validation images,
# also the 702 and 367 without any annotation, as SCA-DNN's slides count them.
data_root = 'data/coco'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    # The sides that detectors are used to: the shorter 800 pixels, the longer at most 1,333.
    dict(type='mmpretrain.Resize', scale=(1333, 800), keep_ratio=True, backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(1333, 800), keep_ratio=True, backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train2014.json',
        data_prefix=dict(img_path='train2014'),
        keep_unlabelled=True,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=2,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_val2014.json',
        data_prefix=dict(img_path='val2014'),
        keep_unlabelled=True,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# Which threshold the slides' precision, recall and F1 have they don't say.
val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
