# FitNets (Romero et al., 2015) on ToyScenes, from scratch, for comparison with KD-WSD: hints at the
# middle stage and plain distillation. Here in one training, in the paper one after the other.
_base_ = [
    '../_base_/models/kd_wsd_distiller_r18_toy.py',
    '../_base_/datasets/kd_wsd_toy_distillation.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/kd_wsd_toy.py',
]

model = dict(
    student=dict(backbone=dict(out_indices=(1, 2)), head=dict(num_classes=_base_.num_classes)),
    losses=dict(
        predictions=_base_.plain_distillation,
        hints=dict(type='mmmlc.FitNetsLoss', student_channels=32, teacher_channels=32, weight=0.1),
    ),
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    dict(_base_.teacher, options={'model.backbone.out_indices': (1, 2)}),
]

param_scheduler = dict(total_steps=3)
train_cfg = dict(max_epochs=3)
