# VOC 2007 for RDAL: 640 x 640, random crops of 576 x 576 in training, the whole image in the test.
_base_ = './voc07_448.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(640, 640), backend='pillow'),
    dict(type='mmmlc.RandomCrop', crop_size=576),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(640, 640), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

# The last 500 of the 5,011 trainval images are the validation images: the paper does not say on
# which it takes the lowest loss, and on the test images it would be a choice by the test.
train_dataloader = dict(dataset=dict(indices=4511, with_boxes=False, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(split='trainval', indices=-500, with_boxes=False, pipeline=test_pipeline)
)
test_dataloader = dict(dataset=dict(with_boxes=False, pipeline=test_pipeline))

val_evaluator = dict(threshold=0.5)
test_evaluator = dict(threshold=0.5)
