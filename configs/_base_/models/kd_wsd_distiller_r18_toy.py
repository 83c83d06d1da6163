# A teacher of 144 x 144 and the plain classifier as a student, on ToyScenes.
_base_ = './toy.py'

model = dict(
    type='mmmlc.Distiller',
    # As in r18_toy.py.
    student=dict(
        type='mmpretrain.ImageClassifier',
        backbone=_base_.toy_resnet,
        head=dict(type='mmmlc.MultiLabelConvHead', in_channels=64, pooling='gwp'),
        data_preprocessor=_base_.toy_norm,
    ),
    teacher_size=144,
)
# For configs that compare with plain distillation.
plain_distillation = dict(
    type='mmmlc.PlainDistillationLoss',
    teacher_temperature=1.0,
    student_temperature=5.0,
    weight=0.05,  # the head's loss here is the mean over 20 classes
)
