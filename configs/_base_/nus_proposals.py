# NUS-WIDE with the 500 best proposals of each image, for the teacher of KD-WSD: 81 concepts, images
# without any left out. The proposal files come from tools/extract_proposals.py, see docs/kd_wsd.md.
# The split is that of the data set's authors. The paper has 150,000 training and 59,347 test images
# of another; with its lists, give image_list='...' in place of split.
data_root = 'data/nus_wide'

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

train_dataloader = dict(
    batch_size=32,  # in total, shared by all processes
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.NUSWIDE',
        data_root=data_root,
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.NUSWIDE',
        data_root=data_root,
        split='test',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
