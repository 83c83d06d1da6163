# MsDPD, step 1: the network of SSD512 learns to classify from conv12_2 (scale 5) on VOC12.
# Needs mmdet.
_base_ = [
    '../_base_/models/msdpd_ssd512_step1.py',
    '../_base_/datasets/msdpd_voc12_bs32_512.py',
    '../_base_/schedules/msdpd_step1.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))

# 60,000 iterations, then 20,000 more at a tenth of the learning rate, in epochs of this data set.
param_scheduler = dict(milestones=[166])
train_cfg = dict(max_epochs=222)
val_cfg = None  # no labels
