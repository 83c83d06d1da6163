# MsDPD, step 1: the network of SSD512 learns to classify from conv12_2 (scale 5) on VOC12.
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
            checkpoint='open-mmlab://vgg16_caffe',
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
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=20,
        in_channels=256,  # conv12_2, 1 x 1
        pooling='gap',
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[1, 1, 1],
        to_rgb=True,
    ),
)

# 60,000 iterations, then 20,000 more at a tenth of the learning rate, in epochs of this data set.
optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='mmengine.SGD', lr=1e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'neck': dict(lr_mult=10.0), 'head': dict(lr_mult=10.0)}),
)
auto_scale_lr = dict(base_batch_size=32, enable=False)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[166], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=222, val_interval=10)
val_cfg = None  # no labels
test_cfg = dict()
