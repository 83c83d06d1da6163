# MsDPD, step 2: part detectors and their features on VOC12, by alternating updates, on the network
# of stage1_vgg16_voc12.py, which stays as it is.
# The paper: 92.8 mAP on VOC12 test.
# Needs mmdet.
_base_ = [
    '../_base_/models/msdpd_ssd512_step2.py',
    '../_base_/datasets/msdpd_voc12_bs32_512.py',
    '../_base_/schedules/msdpd_step2.py',
    '../_base_/runtimes/msdpd_mining.py',
]

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_voc12/epoch_222.pth')),
    neck=dict(init_cfg=dict(checkpoint='work_dirs/stage1_vgg16_voc12/epoch_222.pth')),
    head=dict(num_classes=_base_.num_classes),
)

param_scheduler = dict(milestones=[22])
train_cfg = dict(max_epochs=30)
val_cfg = None  # no labels
