# MsDPD, step 2: part detectors and their features on COCO, by alternating updates, on the network
# of stage1_vgg16_coco.py, which stays as it is.
# The paper has no COCO; the schedule is ours.
# Needs mmdet.
_base_ = [
    '../_base_/models/msdpd_ssd512_step2.py',
    '../_base_/datasets/msdpd_coco14_bs32_512.py',
    '../_base_/schedules/msdpd_step2.py',
    '../_base_/runtimes/msdpd_mining.py',
]

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_coco/epoch_31.pth')),
    neck=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_coco/epoch_31.pth')),
    head=dict(num_classes=_base_.num_classes),
)

param_scheduler = dict(milestones=[9])
train_cfg = dict(max_epochs=12)
