# Attention transfer (Zagoruyko and Komodakis, 2017) on ToyScenes, from scratch, for comparison with
# KD-WSD: the attention of all stages, and plain distillation.
_base_ = [
    '../_base_/models/kd_wsd_distiller_r18_toy.py',
    '../_base_/datasets/kd_wsd_toy_distillation.py',
    '../_base_/schedules/toy_onecycle_5e.py',
    '../_base_/runtimes/kd_wsd_toy.py',
]

model = dict(
    student=dict(backbone=dict(out_indices=(0, 1, 2)), head=dict(num_classes=_base_.num_classes)),
    losses=dict(
        predictions=_base_.plain_distillation,
        attention=dict(type='mmmlc.AttentionTransferLoss'),
    ),
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    dict(_base_.teacher, options={'model.backbone.out_indices': (0, 1, 2)}),
]

param_scheduler = dict(total_steps=3)
train_cfg = dict(max_epochs=3)
