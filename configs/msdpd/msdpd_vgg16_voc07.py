# MsDPD, step 2: part detectors and their features on VOC07, by alternating updates, on the network
# of stage1_vgg16_voc07.py, which stays as it is.
# The paper: 93.5 mAP on VOC07 test.
# Needs mmdet.
_base_ = [
    '../_base_/models/msdpd_ssd512_step2.py',
    '../_base_/datasets/msdpd_voc07_bs32_512.py',
    '../_base_/schedules/msdpd_step2.py',
    '../_base_/runtimes/msdpd_mining.py',
]

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_voc07/epoch_511.pth')),
    neck=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_voc07/epoch_511.pth')),
    head=dict(num_classes=_base_.num_classes),
)

param_scheduler = dict(milestones=[45])
train_cfg = dict(max_epochs=60)
