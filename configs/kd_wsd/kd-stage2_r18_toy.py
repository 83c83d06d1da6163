# KD-WSD, stage 2 on ToyScenes, from the student of kd-stage1_r18_toy.py. Stage 2 alone (Table 4):
# model.student.init_cfg=None.
_base_ = [
    '../_base_/models/kd_wsd_distiller_r18_toy.py',
    '../_base_/datasets/kd_wsd_toy_distillation.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/kd_wsd_toy.py',
]

model = dict(
    student=dict(
        head=dict(num_classes=_base_.num_classes),
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/kd-stage1_r18_toy/student_epoch_2.pth',
        ),
    ),
    losses=dict(
        predictions=dict(
            type='mmmlc.ClassAwareLoss',
            num_classes=_base_.num_classes,
            num_proposals=200,
            weight=0.05,  # lambda = 1: the head's loss here is the mean over 20 classes
        ),
    ),
)

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'temperature': dict(decay_mult=0.0)}))
param_scheduler = dict(total_steps=3)
train_cfg = dict(max_epochs=3)
