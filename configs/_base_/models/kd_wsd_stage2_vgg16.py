# KD-WSD, stage 2: VGG-16 learns labels and the teacher's predictions. A config says which student
# of stage 1 it starts from; there, fc6 and fc7 are those of ImageNet.
_base_ = './imagenet.py'

model = dict(
    type='mmmlc.Distiller',
    student=dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(type='mmpretrain.VGG', depth=16, with_last_pool=False),
        head=dict(type='mmmlc.VGGHead'),
        data_preprocessor=_base_.imagenet_norm,
        # mmengine knows this one type without scope only.
        init_cfg=dict(type='Pretrained'),
    ),
    losses=dict(predictions=dict(type='mmmlc.ClassAwareLoss', num_proposals=500)),
    student_size=224,
)
