# RDAL on ToyScenes with the five best object proposals in place of its regions (Table 3), from the
# last checkpoint of configs/mcar/baseline_r18_toy.py. The proposal files come from
# tools/extract_proposals.py, see docs/rdal.md.
_base_ = [
    '../_base_/models/rdal_toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/schedules/rdal_toy_2e.py',
    '../_base_/runtimes/rdal_cpu.py',
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
test_dataloader = val_dataloader

model = dict(
    type='mmmlc.ProposalClassifier',
    backbone=dict(init_cfg=_base_.toy_weights),
    neck=dict(num_classes=_base_.num_classes, localisation='given'),
    head=dict(
        num_classes=_base_.num_classes,
        # Proposals can't be pushed anywhere.
        constraints=dict(anchor=False, scale=False, positive=False),
    ),
)

# As in rdal_r18_toy.py.
val_evaluator = [
    dict(_base_.val_evaluator, also=('softmax_score',)),
    dict(type='mmmlc.ValidationLoss'),
]
test_evaluator = dict(also=('softmax_score',))
