"""Models: one file or small package per system, and the parts they share."""

from .distillation_losses import (
    AttentionTransferLoss,
    ClassAwareLoss,
    FitNetsLoss,
    PlainDistillationLoss,
    RoIFeatureLoss,
)
from .distiller import Distiller
from .heads import MultiLabelConvHead
from .losses import AsymmetricLoss, MultiLabelBCELoss
from .mcar import MCAR
from .msdpd import MsDPDHead
from .multi_scale import MultiScaleDataPreprocessor
from .rdal import (
    EuclideanSoftmaxLoss,
    ProposalClassifier,
    RecurrentAttention,
    RecurrentAttentionHead,
    RegionConstraintLoss,
)
from .sca import SCADNN, SCAHead
from .timm_features import TIMMFeatureMap
from .vgg_head import VGGHead
from .views import TenViews
from .wsddn import WSDDN, WSDDNHead

__all__ = [
    'AsymmetricLoss',
    'AttentionTransferLoss',
    'ClassAwareLoss',
    'Distiller',
    'EuclideanSoftmaxLoss',
    'FitNetsLoss',
    'MCAR',
    'MsDPDHead',
    'MultiLabelBCELoss',
    'MultiLabelConvHead',
    'MultiScaleDataPreprocessor',
    'PlainDistillationLoss',
    'ProposalClassifier',
    'RecurrentAttention',
    'RecurrentAttentionHead',
    'RegionConstraintLoss',
    'RoIFeatureLoss',
    'SCADNN',
    'SCAHead',
    'TIMMFeatureMap',
    'TenViews',
    'VGGHead',
    'WSDDN',
    'WSDDNHead',
]
