# NUS-WIDE for the distillation of KD-WSD: the teacher's 672 x 672 with the 500 best proposals in
# training, from which the student's 224 x 224 are resized; 224 x 224 in validation and test.
_base_ = './nus_proposals.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/proposals/nus_train.prop', topk=500),
    dict(type='mmpretrain.Resize', scale=(672, 672), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(224, 224), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

# The last 2,000 training images are the validation images. How many of this split have labels is
# not known here; it is taken to be above 122,000 (the data set prints it), so that the first
# 120,000 share none with them.
train_dataloader = dict(dataset=dict(indices=120000, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16, dataset=dict(split='train', indices=-2000, pipeline=test_pipeline)
)
test_dataloader = dict(batch_size=16, dataset=dict(pipeline=test_pipeline))
