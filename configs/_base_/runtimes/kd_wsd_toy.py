# A trained teacher beside the student, on two CPU cores.
_base_ = '../default_runtime.py'

teacher = dict(
    type='mmmlc.TeacherHook',
    config='configs/kd_wsd/teacher_r18_toy.py',
    checkpoint='work_dirs/teacher_r18_toy/epoch_1.pth',
)
custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    teacher,
]
