"""KD-WSD's parts, see helpers/examples.py."""

from __future__ import annotations

from helpers.small_models import PLAIN, C, Classifier

WSDDN_HEAD = dict(type='mmmlc.WSDDNHead', num_classes=C, in_channels=32, width=8, pool_size=2)
WSDDN = PLAIN | dict(type='mmmlc.WSDDN', head=WSDDN_HEAD)
MODELS = [
    WSDDN,
    WSDDN_HEAD,
    dict(type='mmmlc.MultiScaleDataPreprocessor', scales=(32, 64)),
    dict(type='mmmlc.VGGHead', num_classes=C, in_channels=8, map_size=2, width=8),
    dict(
        type='mmmlc.Distiller',
        student=PLAIN,
        losses=dict(predictions=dict(type='mmmlc.PlainDistillationLoss')),
    ),
    dict(type='mmmlc.RoIFeatureLoss', student_channels=8, teacher_channels=16),
    dict(type='mmmlc.ClassAwareLoss', num_classes=C, num_proposals=10),
    dict(type='mmmlc.PlainDistillationLoss'),
    dict(type='mmmlc.FitNetsLoss', student_channels=8, teacher_channels=16),
    dict(type='mmmlc.AttentionTransferLoss'),
]
HOOKS = [dict(type='mmmlc.TeacherHook', config='teacher.py', checkpoint='teacher.pth')]
CLASSIFIERS = dict(wsddn=Classifier(WSDDN, views=(), regions=3))
