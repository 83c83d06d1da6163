# CocoPhotos: photographs of COCO 2017 with a short side of 256 pixels, written by
# tools/make_coco_photos.py. The 47 classes with the most images, without person. Of 1,923 training
# and 882 validation images 190 and 79 have none of them, and are negatives.
# docs/data.md shows how settings are chosen on others.
num_classes = 47
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
        ann_file='annotations/instances_train_47.json',
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
        ann_file='annotations/instances_val_47.json',
        data_prefix=dict(img_path='images'),
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
