# COCO 2014 for the students of KD-WSD: 224 x 224.
_base_ = './coco14_512.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(224, 224), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(224, 224), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

# The last 2,000 of the 82,081 labelled images of train2014 are the validation images: val2014 is
# the paper's test set, and the paper does not say where its validation loss comes from.
train_dataloader = dict(dataset=dict(indices=80081, with_boxes=False, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/instances_train2014.json',
        data_prefix=dict(img_path='train2014'),
        indices=-2000,
        with_boxes=False,
        pipeline=test_pipeline,
    )
)
test_dataloader = dict(dataset=dict(with_boxes=False, pipeline=test_pipeline))
