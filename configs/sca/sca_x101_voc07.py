# SCA-DNN, ResNeXt-101 (32 x 4d) and FPN. The slides: 95.3 mAP on VOC07 test.
_base_ = [
    '../_base_/models/sca_x101.py',
    '../_base_/datasets/sca_voc07_bs16_boxes.py',
    '../_base_/schedules/sca_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
