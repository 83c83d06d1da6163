# KD-WSD, stage 2: ResNet-50 learns labels and the teacher's predictions on COCO, from the student
# that stage 1 exported. The classifier is there as initialised. The paper has no such number.
_base_ = [
    '../_base_/models/kd_wsd_stage2_vgg16.py',
    '../_base_/datasets/kd_wsd_coco14_distillation.py',
    '../_base_/schedules/kd_wsd_stage2.py',
    '../_base_/runtimes/kd_wsd_r50_coco.py',
]

model = dict(
    # As in student_r50_coco.py.
    student=dict(
        backbone=dict(_delete_=True, type='mmpretrain.ResNet', depth=50, norm_eval=True),
        head=dict(
            _delete_=True,
            type='mmmlc.MultiLabelConvHead',
            num_classes=_base_.num_classes,
            in_channels=2048,
            # Summed over classes, as Eq. 10.
            loss=dict(type='mmmlc.MultiLabelBCELoss', weight=float(_base_.num_classes)),
        ),
        init_cfg=dict(checkpoint='work_dirs/kd-stage1_r50_coco/student_epoch_100.pth'),
    ),
    losses=dict(predictions=dict(num_classes=_base_.num_classes)),
)

# Where the mAP saturates: this head writes no loss of validation images.
param_scheduler = dict(monitor='mAP', rule='greater')
