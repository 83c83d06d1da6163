"""KD-WSD: a weakly supervised detector, fed with object proposals, teaches a plain classifier.

Multi-Label Image Classification via Knowledge Distillation from Weakly-Supervised Detection,
Yongcheng Liu, Lu Sheng, Jing Shao, Junjie Yan, Shiming Xiang and Chunhong Pan, ACM MM 2018.

To read in this order: the teacher, ``weak_detection`` (tensor functions) and ``wsddn`` (the
network; ``multi_scale`` draws the size of its batches); the distillation, ``distillation`` (tensor
functions), ``losses`` and ``distiller``; how the teacher answers, ``frozen_teacher`` and
``teacher_cache``; ``teacher_hook``, which hands it to the distiller and exports the student.
"""

from mmmlc.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    wsddn='WSDDN WSDDNHead WSDDNOutput',
    multi_scale='MultiScaleDataPreprocessor',
    losses='AttentionTransferLoss ClassAwareLoss FitNetsLoss PlainDistillationLoss RoIFeatureLoss',
    vgg_head='VGGHead',
    distiller='Distiller',
    teacher_cache='TeacherCache',
    teacher_hook='TeacherHook',
)
