# MsDPD, step 2: part detectors and their features on VOC12, by alternating updates, on the network
# of stage1_vgg16_voc12.py, which stays as it is.
# The paper: 92.8 mAP on VOC12 test.
# Needs mmdet and mmcv with compiled operators.
_base_ = ['../_base_/voc12_512.py', '../_base_/default_runtime.py']

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
            checkpoint='work_dirs/stage1_vgg16_voc12/epoch_222.pth',
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
            checkpoint='work_dirs/stage1_vgg16_voc12/epoch_222.pth',
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
        training='alternating',
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

# Learning rate 0.01 (Section 3.1); the number of epochs is ours, the paper gives none.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.0, decay_mult=0.0),
            'neck': dict(lr_mult=0.0, decay_mult=0.0),
        }
    ),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[22], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=10)
val_cfg = None  # no labels
test_cfg = dict()
