# What networks pretrained on ImageNet start from: mean and deviation of its images, and OpenMMLab's
# weights.
imagenet_norm = dict(
    type='mmpretrain.ClsDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
imagenet_weights = dict(
    mobilenet_v2=dict(
        # mmengine knows this one type without scope only.
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmclassification/v0/mobilenet_v2/'
        'mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth',
        prefix='backbone',
    ),
    resnet50=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
        'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
        prefix='backbone',
    ),
    resnet101=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
        'resnet101_8xb32_in1k_20210831-539c63f8.pth',
        prefix='backbone',
    ),
    resnext101=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmclassification/v0/resnext/'
        'resnext101_32x4d_b32x8_imagenet_20210506-e0fa3dd5.pth',
        prefix='backbone',
    ),
    vgg16=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
        'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
        prefix='backbone',
    ),
)
