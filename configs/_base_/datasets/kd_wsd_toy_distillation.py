# ToyScenes with the 200 best proposals of each training image, for the distillation of KD-WSD.
_base_ = './toy_scenes_bs32.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/toy_scenes/proposals_train.prop', topk=200),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
