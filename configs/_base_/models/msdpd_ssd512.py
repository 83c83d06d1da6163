# The network of SSD512, whose scales MsDPD reads; Caffe's VGG-16, and its images' mean.
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
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[1, 1, 1],
        to_rgb=True,
    ),
)
