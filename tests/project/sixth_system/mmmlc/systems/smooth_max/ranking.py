"""The loss of pairs of a positive and a negative class."""

from __future__ import annotations

import torch
from torch import Tensor

from mmmlc.ops.precision import full


def pair_ranking(logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
    """``log(1 + sum(exp(negative - positive)))`` over all such pairs of each image.

    Args:
        logits: (B, C).
        targets: (B, C) in [0, 1]; a class of at least 0.5 is positive.
        valid: (B, C) bool; classes that are False take no part. None: all take part.

    Returns:
        (B,) float32 also under AMP; 0 for an image without a pair.

    Examples:
        >>> pair_ranking(torch.tensor([[2.0, 1.0]]), torch.tensor([[1, 0]]))  # log(1 + exp(-1))
        tensor([0.3133])
    """
    logits, positive = full(logits), targets >= 0.5
    taken = torch.ones_like(positive) if valid is None else valid
    lost = torch.tensor(-torch.inf, device=logits.device)
    negatives = logits.where(taken & ~positive, lost).logsumexp(1)
    positives = (-logits).where(taken & positive, lost).logsumexp(1)
    # Of the sum over pairs: the exponential of a sum is the product of those of its terms.
    pairs = torch.stack((torch.zeros_like(negatives), negatives + positives))
    return pairs.logsumexp(0)
