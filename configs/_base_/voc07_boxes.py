# PASCAL VOC 2007 with its boxes: 5,011 trainval and 4,952 test images, of every size.
_base_ = './voc07_448.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    # The sides that detectors are used to on VOC: the shorter 600 pixels, the longer at most 1,000.
    dict(type='mmpretrain.Resize', scale=(1000, 600), keep_ratio=True, backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(1000, 600), keep_ratio=True, backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=2, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(threshold=0.5)
test_evaluator = dict(threshold=0.5)
