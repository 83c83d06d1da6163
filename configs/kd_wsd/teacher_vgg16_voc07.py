# KD-WSD's teacher (WSDDN), VGG-16, 500 proposals, five scales.
# The paper has no numbers on VOC07.
_base_ = [
    '../_base_/models/kd_wsd_teacher_vgg16.py',
    '../_base_/datasets/kd_wsd_voc07_teacher.py',
    '../_base_/schedules/kd_wsd_teacher.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
