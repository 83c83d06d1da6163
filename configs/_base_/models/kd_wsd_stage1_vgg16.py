# KD-WSD, stage 1: the backbone of VGG-16 learns the teacher's features of regions.
_base_ = './imagenet.py'

model = dict(
    type='mmmlc.Distiller',
    # As in kd_wsd_student_vgg16.py.
    student=dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(
            type='mmpretrain.VGG',
            depth=16,
            with_last_pool=False,
            init_cfg=_base_.imagenet_weights.vgg16,
        ),
        head=dict(
            type='mmmlc.VGGHead',
            fcs_init=dict(_base_.imagenet_weights.vgg16, prefix='backbone.classifier'),
        ),
        data_preprocessor=_base_.imagenet_norm,
    ),
    losses=dict(
        features=dict(type='mmmlc.RoIFeatureLoss', student_channels=512, teacher_channels=512),
    ),
    update='backbone',
    label_weight=0.0,
    student_size=224,
)
