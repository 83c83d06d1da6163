# KD-WSD's teacher (WSDDN), VGG-16, 500 proposals, five scales.
# The paper: 58.2 mAP on NUS-WIDE (Table 3), of another split.
_base_ = [
    '../_base_/models/kd_wsd_teacher_vgg16.py',
    '../_base_/datasets/kd_wsd_nus_teacher.py',
    '../_base_/schedules/kd_wsd_teacher.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
