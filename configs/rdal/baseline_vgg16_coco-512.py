# RDAL, step 1: VGG-16, pretrained on ImageNet, as a plain classifier on COCO at 512.
_base_ = [
    '../_base_/models/rdal_baseline_vgg16.py',
    '../_base_/datasets/rdal_coco14_bs16_crop512.py',
    '../_base_/schedules/rdal_step1.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
