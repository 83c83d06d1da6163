"""Model parts that several systems share: heads, losses, backbones, test-time views."""

from .heads import MultiLabelConvHead
from .losses import AsymmetricLoss, MultiLabelBCELoss
from .mixing import MultiLabelDataPreprocessor
from .query_decoder import QueryDecoderHead
from .timm_features import TIMMFeatureMap
from .views import TenViews

__all__ = [
    'AsymmetricLoss',
    'MultiLabelBCELoss',
    'MultiLabelConvHead',
    'MultiLabelDataPreprocessor',
    'QueryDecoderHead',
    'TIMMFeatureMap',
    'TenViews',
]
