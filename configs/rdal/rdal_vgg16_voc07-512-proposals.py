# RDAL, step 2, with the five best object proposals in place of its regions: VGG-16 at 512, from the
# last checkpoint of baseline_vgg16_voc07-512.py.
# The paper: 88.6 mAP on VOC07 test with one crop (Table 3), against 90.4 with its own regions.
# The proposal files come from tools/extract_proposals.py, see docs/rdal.md.
_base_ = [
    '../_base_/models/rdal_vgg16.py',
    '../_base_/datasets/rdal_voc07_bs16_crop512.py',
    '../_base_/schedules/rdal_step2.py',
    '../_base_/runtimes/rdal_best_loss.py',
]

# Of the 50 best, that the crop may cost some; the model takes the best five that are left.
proposals = dict(
    type='mmmlc.LoadProposals', file='data/proposals/voc07_trainval.prop', topk=50, fill='pad'
)
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    proposals,
    _base_.resize,
    dict(type='mmmlc.RandomCrop', crop_size=448),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
val_pipeline = [
    dict(type='mmmlc.LoadImage'),
    proposals,
    _base_.resize,
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(proposals, file='data/proposals/voc07_test.prop'),
    _base_.resize,
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

model = dict(
    type='mmmlc.ProposalClassifier',
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/baseline_vgg16_voc07-512/epoch_45.pth')),
    neck=dict(num_classes=_base_.num_classes, localisation='given'),
    head=dict(
        num_classes=_base_.num_classes,
        # Proposals can't be pushed anywhere.
        constraints=dict(anchor=False, scale=False, positive=False),
    ),
)
val_evaluator = [_base_.val_evaluator, dict(type='mmmlc.ValidationLoss')]
