# KD-WSD's teacher (WSDDN), VGG-16, 500 proposals, five scales.
# The paper: 78.6 mAP on COCO 2014 val (Table 3).
_base_ = [
    '../_base_/models/kd_wsd_teacher_vgg16.py',
    '../_base_/datasets/kd_wsd_coco14_teacher.py',
    '../_base_/schedules/kd_wsd_teacher.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
