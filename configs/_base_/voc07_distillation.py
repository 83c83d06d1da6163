# VOC 2007 for the distillation of KD-WSD: the teacher's 672 x 672 with the 500 best proposals in
# training, from which the student's 224 x 224 are resized; 224 x 224 in validation and test.
_base_ = './voc07_512.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/proposals/voc07_trainval.prop', topk=500),
    dict(type='mmpretrain.Resize', scale=(672, 672), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(224, 224), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

# The last 500 of the 5,011 trainval images are the validation images.
train_dataloader = dict(dataset=dict(indices=4511, with_boxes=False, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(split='trainval', indices=-500, with_boxes=False, pipeline=test_pipeline)
)
test_dataloader = dict(dataset=dict(with_boxes=False, pipeline=test_pipeline))
