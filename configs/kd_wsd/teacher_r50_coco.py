# KD-WSD's teacher (WSDDN) on another backbone: ResNet-50, global pooling in place of fc6 and fc7.
# The paper has no such number.
_base_ = [
    '../_base_/models/kd_wsd_teacher_vgg16.py',
    '../_base_/datasets/kd_wsd_coco14_teacher.py',
    '../_base_/schedules/kd_wsd_teacher.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.ResNet',
        depth=50,
        # Stride 16, as VGG-16: at 32 small proposals fall into one cell.
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        norm_eval=True,
        init_cfg=_base_.imagenet_weights.resnet50,
    ),
    head=dict(
        _delete_=True,
        type='mmmlc.WSDDNHead',
        num_classes=_base_.num_classes,
        in_channels=2048,
        width=None,
    ),
)
