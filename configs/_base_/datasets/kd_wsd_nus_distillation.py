# NUS-WIDE for the distillation of KD-WSD: the teacher's 672 x 672 with the 500 best proposals in
# training, from which the student's 224 x 224 are resized; 224 x 224 in validation and test.
_base_ = ['./nus_wide.py', '../pipelines/kd_wsd_224.py']

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.LoadProposals', file='data/proposals/nus_train.prop', topk=500),
    dict(type='mmpretrain.Resize', scale=(672, 672), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
# Validation images as in kd_wsd_nus_student.py.
train_dataloader = dict(
    batch_size=32,  # in total, shared by all processes
    dataset=dict(indices=120000, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(split='train', indices=-2000, pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
