# KD-WSD, stage 1 on ToyScenes, from scratch: the teacher's features of regions.
_base_ = [
    '../_base_/models/kd_wsd_distiller_r18_toy.py',
    '../_base_/datasets/kd_wsd_toy_distillation.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/kd_wsd_toy.py',
]

model = dict(
    student=dict(head=dict(num_classes=_base_.num_classes)),
    losses=dict(
        features=dict(
            type='mmmlc.RoIFeatureLoss',
            student_channels=64,
            teacher_channels=64,
            weight=0.1,  # about 100 at the start without it, too much for this learning rate
        ),
    ),
    update='backbone',
    label_weight=0.0,
)

val_dataloader = None
val_evaluator = None
val_cfg = None
param_scheduler = dict(total_steps=2)
train_cfg = dict(max_epochs=2)
