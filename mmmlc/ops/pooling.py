"""Global pooling of feature maps. B: images, D: channels, (h, w): map size."""

from __future__ import annotations

from torch import Tensor

from .checks import check_choice

POOLINGS = ('gap', 'gmp', 'gwp')


def global_pool(features: Tensor, pooling: str = 'gwp', weight: float = 0.5) -> Tensor:
    """Pool a feature map to a vector (MCAR, Eq. 13-15).

    Args:
        features: (B, D, h, w).
        pooling: ``'gap'`` average, ``'gmp'`` maximum, ``'gwp'`` their weighted sum.
        weight: Share of the average in ``'gwp'``, lambda in [0, 1].

    Returns:
        (B, D).

    Raises:
        ValueError: for another pooling.

    Examples:
        >>> import torch
        >>> global_pool(torch.tensor([[[[0.0, 4.0]]]]), 'gwp')
        tensor([[3.]])
    """
    check_choice('pooling', pooling, POOLINGS)
    if pooling == 'gap':
        return features.mean((-2, -1))
    if pooling == 'gmp':
        return features.amax((-2, -1))
    return weight * features.mean((-2, -1)) + (1 - weight) * features.amax((-2, -1))
