# RDAL, step 2, with the five best object proposals in place of its regions: VGG-16 at 512, from the
# last checkpoint of baseline_vgg16_voc07-512.py.
# The paper: 88.6 mAP on VOC07 test with one crop (Table 3), against 90.4 with its own regions.
# The proposal files come from tools/extract_proposals.py, see docs/rdal.md.
_base_ = [
    '../_base_/voc07_crop512.py',
    '../_base_/rdal_schedule.py',
    '../_base_/default_runtime.py',
]

# Of the 50 best, that the crop may cost some; the model takes the best five that are left.
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(
        type='mmmlc.LoadProposals',
        file='data/proposals/voc07_trainval.prop',
        topk=50,
        fill='pad',
    ),
    dict(type='mmpretrain.Resize', scale=(512, 512), backend='pillow'),
    dict(type='mmmlc.RandomCrop', crop_size=448),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
val_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(
        type='mmmlc.LoadProposals',
        file='data/proposals/voc07_trainval.prop',
        topk=50,
        fill='pad',
    ),
    dict(type='mmpretrain.Resize', scale=(512, 512), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(
        type='mmmlc.LoadProposals',
        file='data/proposals/voc07_test.prop',
        topk=50,
        fill='pad',
    ),
    dict(type='mmpretrain.Resize', scale=(512, 512), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

model = dict(
    type='mmmlc.ProposalClassifier',
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3, stride 16
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/baseline_vgg16_voc07-512/epoch_45.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(
        type='mmmlc.RecurrentAttention',
        in_channels=512,
        num_classes=20,
        num_regions=5,
        sampled_size=14,
        pool=2,
        feature_width=4096,
        hidden_width=4096,
        localisation='given',
    ),
    head=dict(
        type='mmmlc.RecurrentAttentionHead',
        num_classes=20,
        loss='euclidean',
        # Proposals can't be pushed anywhere.
        constraints=dict(
            type='mmmlc.RegionConstraintLoss', anchor=False, scale=False, positive=False
        ),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)

default_hooks = dict(checkpoint=dict(save_best='loss', rule='less'))
val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3),
    dict(type='mmmlc.ValidationLoss'),
]
