# RDAL on ToyScenes with the five best object proposals in place of its regions (Table 3), from the
# last checkpoint of configs/mcar/baseline_r18_toy.py. The proposal files come from
# tools/extract_proposals.py, see docs/rdal.md.
_base_ = [
    '../_base_/toy_scenes.py',
    '../_base_/toy_schedule.py',
    '../_base_/default_runtime.py',
]

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(
        type='mmmlc.LoadProposals',
        file='data/toy_scenes/proposals_train.prop',
        topk=5,
        fill='pad',
    ),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(
        type='mmmlc.LoadProposals',
        file='data/toy_scenes/proposals_val.prop',
        topk=5,
        fill='pad',
    ),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

model = dict(
    type='mmmlc.ProposalClassifier',
    backbone=dict(
        # A quarter of the width of ResNet-18, without its last stage: maps of 6 x 6, where 3 x 3
        # could not tell objects of 96-pixel images apart.
        type='mmpretrain.ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/baseline_r18_toy/epoch_5.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(
        type='mmmlc.RecurrentAttention',
        in_channels=64,
        num_classes=20,
        num_regions=5,
        sampled_size=6,
        pool=2,
        feature_width=256,
        hidden_width=256,
        localisation='given',
    ),
    head=dict(
        type='mmmlc.RecurrentAttentionHead',
        num_classes=20,
        loss='bce',
        # Proposals can't be pushed anywhere.
        constraints=dict(
            type='mmmlc.RegionConstraintLoss', anchor=False, scale=False, positive=False
        ),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]

# Also report the softmax, and keep the checkpoint with the lowest validation loss beside the last.
val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3, also=('softmax_score',)),
    dict(type='mmmlc.ValidationLoss'),
]
test_evaluator = dict(also=('softmax_score',))
default_hooks = dict(checkpoint=dict(save_best='loss', rule='less'))

# As in rdal_r18_toy.py.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmengine.AdamW', lr=2e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}),
)
param_scheduler = dict(
    _delete_=True,
    type='mmengine.CosineAnnealingLR',
    T_max=2,  # epochs; as many as max_epochs
    by_epoch=True,
    convert_to_iter_based=True,
)
train_cfg = dict(max_epochs=2)
