# Plain distillation (Hinton et al., 2015) on ToyScenes, from scratch, for comparison with KD-WSD.
_base_ = [
    '../_base_/models/kd_wsd_distiller_r18_toy.py',
    '../_base_/datasets/kd_wsd_toy_distillation.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/kd_wsd_toy.py',
]

model = dict(
    student=dict(head=dict(num_classes=_base_.num_classes)),
    losses=dict(predictions=_base_.plain_distillation),
)

param_scheduler = dict(total_steps=3)
train_cfg = dict(max_epochs=3)
