# KD-WSD's teacher (WSDDN) on ToyScenes, from scratch, minutes on two CPU cores.
# The proposal files come from tools/extract_proposals.py, see docs/kd_wsd.md.
_base_ = [
    '../_base_/toy_scenes.py',
    '../_base_/toy_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.WSDDN',
    backbone=dict(
        # A quarter of the width of ResNet-18, without its last stage, as in the student.
        type='mmpretrain.ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    head=dict(
        type='mmmlc.WSDDNHead',
        num_classes=20,
        in_channels=64,
        width=None,
    ),
    data_preprocessor=dict(
        type='mmmlc.MultiScaleDataPreprocessor',
        scales=(144, 192, 240),
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
        to_rgb=True,
    ),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/toy_scenes/proposals_train.prop', topk=200),
    dict(type='mmpretrain.Resize', scale=(240, 240)),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/toy_scenes/proposals_val.prop', topk=200),
    dict(type='mmpretrain.Resize', scale=(192, 192)),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3),
    dict(type='mmmlc.WeakDetectionMetric'),
]
test_evaluator = val_evaluator
