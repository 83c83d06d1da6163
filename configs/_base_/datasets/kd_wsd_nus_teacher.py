# NUS-WIDE with the 500 best proposals of each image, for the teacher of KD-WSD. The proposal files
# come from tools/extract_proposals.py, see docs/kd_wsd.md.
_base_ = './nus_wide.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/proposals/nus_train.prop', topk=500),
    # The largest of the scales that mmmlc.MultiScaleDataPreprocessor draws from.
    dict(type='mmpretrain.Resize', scale=(832, 832), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/proposals/nus_test.prop', topk=500),
    dict(type='mmpretrain.Resize', scale=(672, 672), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
