# COCO 2014 for the distillation of KD-WSD: the teacher's 672 x 672 with the 500 best proposals in
# training, from which the student's 224 x 224 are resized; 224 x 224 in validation and test.
_base_ = ['./coco14_holdout.py', '../pipelines/kd_wsd_224.py']

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/proposals/coco14_train.prop', topk=500),
    dict(type='mmpretrain.Resize', scale=(672, 672), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(
    batch_size=32,  # in total, shared by all processes
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
