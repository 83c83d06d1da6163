# MCAR, MobileNet-v2 with average pooling, 448 x 448. The paper: 74.3 mAP on COCO14 val.
# The authors' script trains this one differently.
_base_ = [
    '../_base_/coco14_448.py',
    '../_base_/mcar_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    backbone=dict(
        type='mmpretrain.MobileNetV2',
        out_indices=(7,),  # the last 1x1 convolution
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/mobilenet_v2/'
            'mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=80,
        in_channels=1280,
        pooling='gap',
        threshold=0.6,
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)

# 0.01 for the backbone, ten times as much for the 1x1 convolution, as in mcar_schedule.py.
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(milestones=[10, 30, 50])
