# The trained teacher_vgg16_voc07.py beside the student.
_base_ = '../default_runtime.py'

custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(
        type='mmmlc.TeacherHook',
        config='configs/kd_wsd/teacher_vgg16_voc07.py',
        checkpoint='work_dirs/teacher_vgg16_voc07/epoch_20.pth',
    ),
]
