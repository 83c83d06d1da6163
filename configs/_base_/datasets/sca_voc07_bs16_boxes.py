# VOC 2007 with its boxes, images of every size, batches of 16.
_base_ = './voc07.py'

# The sides that detectors are used to on VOC: the shorter 600 pixels, the longer at most 1,000.
resize = dict(type='mmpretrain.Resize', scale=(1000, 600), keep_ratio=True, backend='pillow')
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.PackInputs'),
]

train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=2, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# Classification and detection in one run.
val_evaluator = [
    dict(_base_.val_evaluator, also=('object_score', 'context_score')),
    dict(type='mmmlc.WeakDetectionMetric', style='voc'),
    dict(type='mmmlc.PatchIoU'),
]
test_evaluator = val_evaluator
