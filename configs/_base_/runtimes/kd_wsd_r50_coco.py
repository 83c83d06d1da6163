# The trained teacher_r50_coco.py beside the student.
_base_ = '../default_runtime.py'

custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(
        type='mmmlc.TeacherHook',
        config='configs/kd_wsd/teacher_r50_coco.py',
        checkpoint='work_dirs/teacher_r50_coco/epoch_20.pth',
    ),
]
