# COCO 2014 for RDAL: 512 x 512, random crops of 448 x 448 in training, the whole image in the
# test.
_base_ = './coco14_448.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(512, 512), backend='pillow'),
    dict(type='mmmlc.RandomCrop', crop_size=448),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(512, 512), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

# The last 2,000 of the 82,081 labelled images of train2014 are the validation images: val2014 is
# the paper's test set, and it does not say on which images it takes the lowest loss.
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

val_evaluator = dict(threshold=0.5)
test_evaluator = dict(threshold=0.5)
