"""Losses on multi-label logits. B: images, C: classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmmlc.registry import MODELS


@MODELS.register_module()
class MultiLabelBCELoss(nn.Module):
    """Binary cross-entropy, averaged over images *and* classes (MCAR, Eq. 9).

    mmpretrain's heads divide by the number of images only; MCAR's published learning rates belong
    to the mean over both.

    Args:
        weight: Factor of the loss.

    Examples:
        >>> import torch
        >>> MultiLabelBCELoss()(torch.zeros(2, 3), torch.ones(2, 3))
        tensor(0.6931)
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            logits: (B, C).
            targets: (B, C) in [0, 1].
            valid: (B, C) bool; pairs that are False take no part. None: all take part.

        Returns:
            Scalar; 0 when nothing is valid.
        """
        logits, targets = logits.float(), targets.float()
        if valid is None:
            return self.weight * F.binary_cross_entropy_with_logits(logits, targets)
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
        return self.weight * (loss * valid).sum() / valid.sum().clamp(min=1)
