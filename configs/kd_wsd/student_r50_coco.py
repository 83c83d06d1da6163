# KD-WSD's student alone (S-Cls without distillation), ResNet-50 at 224; also the config of exported
# students. The paper has no such number. The schedule is that of stage 2.
_base_ = [
    '../_base_/models/r50.py',
    '../_base_/datasets/kd_wsd_coco14_student.py',
    '../_base_/schedules/kd_wsd_stage2.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(norm_eval=True),
    head=dict(
        _delete_=True,
        type='mmmlc.MultiLabelConvHead',
        num_classes=_base_.num_classes,
        in_channels=2048,
        # Summed over classes, as Eq. 10.
        loss=dict(type='mmmlc.MultiLabelBCELoss', weight=float(_base_.num_classes)),
    ),
)

# Where the mAP saturates: this head writes no loss of validation images.
param_scheduler = dict(monitor='mAP', rule='greater')
