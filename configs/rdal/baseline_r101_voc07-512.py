# RDAL, step 1: ResNet-101, pretrained on ImageNet, as a plain classifier on VOC07 at 512.
_base_ = [
    '../_base_/models/r101.py',
    '../_base_/datasets/rdal_voc07_bs16_crop512.py',
    '../_base_/schedules/rdal_step1.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
