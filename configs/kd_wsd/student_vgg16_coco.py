# KD-WSD's student alone (S-Cls without distillation), VGG-16 at 224; also the config of exported
# students. The paper: 70.9 mAP on COCO 2014 val (Table 3). The schedule is that of stage 2.
_base_ = [
    '../_base_/coco14_224.py',
    '../_base_/distillation_stage2_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3; the head pools
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
            'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.VGGHead',
        num_classes=80,
        fcs_init=dict(
            # fc6 and fc7; the log names the classifier's last layer as not used.
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
            'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
            prefix='backbone.classifier',
        ),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)

val_evaluator = [
    dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3),
    dict(type='mmmlc.ValidationLoss'),
]
