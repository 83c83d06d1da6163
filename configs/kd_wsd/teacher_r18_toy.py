# KD-WSD's teacher (WSDDN) on ToyScenes, minutes on two CPU cores. Its backbone starts from the
# plain baseline trained for 12 epochs, as the paper's from ImageNet. The commands that come first,
# for that and for the proposal files, are in docs/kd_wsd.md.
_base_ = [
    '../_base_/models/toy.py',
    '../_base_/datasets/toy_scenes_bs32.py',
    '../_base_/runtimes/cpu.py',
]

model = dict(
    type='mmmlc.WSDDN',
    backbone=dict(
        _base_.toy_resnet,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/teacher-start_r18_toy/epoch_12.pth',
            prefix='backbone.',
        ),
    ),
    head=dict(type='mmmlc.WSDDNHead', num_classes=_base_.num_classes, in_channels=64, width=None),
    data_preprocessor=dict(
        _base_.toy_norm, type='mmmlc.MultiScaleDataPreprocessor', scales=(112, 144, 176)
    ),
)

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/toy_scenes/proposals_train.prop', topk=200),
    dict(type='mmpretrain.Resize', scale=(176, 176)),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/toy_scenes/proposals_val.prop', topk=200),
    dict(type='mmpretrain.Resize', scale=(144, 144)),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = [
    _base_.val_evaluator,
    dict(type='mmmlc.WeakDetectionMetric'),
    dict(type='mmmlc.ProposalMetric'),  # what the detector has to beat
]
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=0.005, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(
        # 10 in the network of the paper's authors. Here the backbone is trained for this very task
        # and needs little, while the scores of proposals, about 0.2, make the features small.
        custom_keys={
            'head.class_branch': dict(lr_mult=200),
            'head.detection_branch': dict(lr_mult=200),
        },
    ),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = [
    dict(type='mmengine.LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(
        type='mmengine.CosineAnnealingLR',
        eta_min=0,
        T_max=1,  # epochs; as many as max_epochs
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
val_cfg = dict()
test_cfg = dict()
