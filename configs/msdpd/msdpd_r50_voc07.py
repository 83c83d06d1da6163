# MsDPD on ResNet-50, end to end, on VOC07: runs without compiled operators. Not in the paper.
_base_ = ['../_base_/voc07_448.py', '../_base_/default_runtime.py']

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=50,
        out_indices=(1, 2, 3),
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MsDPDHead',
        num_classes=20,
        in_channels=(512, 1024, 2048),  # maps of 56, 28 and 14 cells a side
        num_parts=(700, 400, 300),
        plain_channels=2048,
        ridge=0.01,
        instances=32,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    # Again every 10 epochs: the backbone, ImageNet's at first, learns the classes meanwhile.
    dict(type='mmmlc.PartMiningHook', clusters=(2000, 1000, 400), locations=100_000, every=10),
]

optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=0.001, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=10.0)}),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[30], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=10)
val_cfg = dict()
test_cfg = dict()
