"""Models: one file or small package per system, and the parts they share."""

from .heads import MultiLabelConvHead
from .losses import MultiLabelBCELoss
from .mcar import MCAR

__all__ = ['MCAR', 'MultiLabelBCELoss', 'MultiLabelConvHead']
