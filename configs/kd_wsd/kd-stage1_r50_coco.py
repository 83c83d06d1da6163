# KD-WSD, stage 1: ResNet-50 learns the teacher's features of regions on COCO.
_base_ = [
    '../_base_/models/kd_wsd_stage1_vgg16.py',
    '../_base_/datasets/kd_wsd_coco14_distillation.py',
    '../_base_/schedules/kd_wsd_stage1.py',
    '../_base_/runtimes/kd_wsd_r50_coco.py',
]

model = dict(
    # As in student_r50_coco.py.
    student=dict(
        backbone=dict(
            _delete_=True,
            type='mmpretrain.ResNet',
            depth=50,
            norm_eval=True,
            init_cfg=_base_.imagenet_weights.resnet50,
        ),
        head=dict(
            _delete_=True,
            type='mmmlc.MultiLabelConvHead',
            num_classes=_base_.num_classes,
            in_channels=2048,
            # Summed over classes, as Eq. 10.
            loss=dict(type='mmmlc.MultiLabelBCELoss', weight=float(_base_.num_classes)),
        ),
    ),
    losses=dict(features=dict(student_channels=2048, teacher_channels=2048)),
)

val_dataloader = None
val_evaluator = None
