"""The losses of :mod:`mmmlc.ops.losses`, plain PyTorch, under their names for configs."""

from mmmlc.ops.losses import AsymmetricLoss, MultiLabelBCELoss
from mmmlc.registry import MODELS

for _loss in (AsymmetricLoss, MultiLabelBCELoss):
    MODELS.register_module(module=_loss)

__all__ = ['AsymmetricLoss', 'MultiLabelBCELoss']
