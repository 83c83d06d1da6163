# MsDPD end to end on VOC07: the whole network learns through the pooling in closed form, which the
# paper names as unsolved. Starts from stage1_vgg16_voc07.py.
# Needs mmdet.
_base_ = [
    '../_base_/models/msdpd_ssd512_step2.py',
    '../_base_/datasets/msdpd_voc07_bs32_512.py',
    '../_base_/schedules/msdpd_step1.py',
    '../_base_/runtimes/msdpd_mining.py',
]

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_voc07/epoch_511.pth')),
    neck=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_voc07/epoch_511.pth')),
    head=dict(num_classes=_base_.num_classes, training='end_to_end'),
)

# The paper's learning rates of both steps; the number of epochs is ours.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=100.0)}))
param_scheduler = dict(milestones=[45])
train_cfg = dict(max_epochs=60)
