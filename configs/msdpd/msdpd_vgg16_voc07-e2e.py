# MsDPD end to end on VOC07: the whole network learns through the pooling in closed form, which the
# paper names as unsolved. Starts from stage1_vgg16_voc07.py.
# Needs mmdet and mmcv with compiled operators.
_base_ = ['../_base_/voc07_512.py', '../_base_/default_runtime.py']

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmdet.SSDVGG',
        depth=16,
        with_last_pool=False,
        ceil_mode=True,
        out_indices=(3, 4),
        out_feature_indices=(22, 34),  # conv4_3 and conv7
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/stage1_vgg16_voc07/epoch_511.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(
        type='mmdet.SSDNeck',
        in_channels=(512, 1024),
        out_channels=(512, 1024, 512, 256, 256, 256, 256),
        level_strides=(2, 2, 2, 2, 1),
        level_paddings=(1, 1, 1, 1, 1),
        l2_norm_scale=None,  # of conv4_3, which nothing reads
        last_kernel_size=4,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/stage1_vgg16_voc07/epoch_511.pth',
            prefix='neck',
        ),
    ),
    head=dict(
        type='mmmlc.MsDPDHead',
        num_classes=20,
        in_channels=(1024, 512, 256, 256),  # conv7, conv8_2, conv9_2, conv10_2
        num_parts=(700, 400, 300, 200),
        indices=(1, 2, 3, 4),
        plain_channels=256,  # conv12_2
        ridge=0.01,
        training='end_to_end',
        instances=32,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[1, 1, 1],
        to_rgb=True,
    ),
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(
        type='mmmlc.PartMiningHook',
        clusters=(2000, 1000, 400, 200),
        locations=100_000,
        min_size=10,
    ),
]

# The paper's learning rates of both steps; the number of epochs is ours.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=1e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'neck': dict(lr_mult=10.0), 'head': dict(lr_mult=100.0)}),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[45], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=10)
val_cfg = dict()
test_cfg = dict()
