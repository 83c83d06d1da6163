# SCA-DNN, ResNeXt-101 (32 x 4d) and FPN. The slides: 86.0 mAP on COCO14's counts of images.
_base_ = [
    '../_base_/models/sca_x101.py',
    '../_base_/datasets/sca_coco14_bs16_boxes.py',
    '../_base_/schedules/sca_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
