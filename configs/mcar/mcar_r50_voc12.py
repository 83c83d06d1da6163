# MCAR, ResNet-50, 448 x 448. The paper: 93.5 mAP on VOC12 test, by the
# evaluation server. It does not say with which pooling: this is the best of VOC07.
_base_ = [
    '../_base_/voc12_448.py',
    '../_base_/mcar_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=50,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=20,
        in_channels=2048,
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

val_cfg = None
test_evaluator = dict(out_dir='work_dirs/mcar_r50_voc12')
