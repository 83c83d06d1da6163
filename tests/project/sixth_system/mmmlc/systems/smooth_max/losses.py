"""The loss of the system, plain PyTorch under a name for configs."""

from __future__ import annotations

from torch import Tensor, nn

from mmmlc.registry import MODELS

from .ranking import pair_ranking


@MODELS.register_module()
class PairRankingLoss(nn.Module):
    """:func:`~mmmlc.systems.smooth_max.ranking.pair_ranking`, averaged over images.

    Args:
        weight: Factor of the loss.
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Scalar; logits, targets and the mask of valid pairs are (B, C)."""
        return self.weight * pair_ranking(logits, targets, valid).mean()
