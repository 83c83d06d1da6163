# MsDPD, step 1: the network of SSD512 learns to classify from conv12_2 (scale 5) on COCO.
# The paper has no COCO; the schedule is ours.
# Needs mmdet.
_base_ = [
    '../_base_/models/msdpd_ssd512_step1.py',
    '../_base_/datasets/msdpd_coco14_bs32_512.py',
    '../_base_/schedules/msdpd_step1.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))

# 60,000 iterations, then 20,000 more at a tenth of the learning rate, in epochs of this data set.
param_scheduler = dict(milestones=[23])
train_cfg = dict(max_epochs=31)
