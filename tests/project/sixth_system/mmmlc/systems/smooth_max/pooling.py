"""The smooth maximum of class maps."""

from __future__ import annotations

import math

from torch import Tensor

from mmmlc.ops.precision import full


def smooth_max(maps: Tensor, sharpness: float) -> Tensor:
    """Smooth maximum over the places of maps (..., h, w), float32 also under AMP.

    ``log(mean(exp(sharpness * maps))) / sharpness``: near the mean for a sharpness near 0, near the
    maximum for a large one.

    Examples:
        >>> import torch
        >>> maps = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
        >>> smooth_max(maps, 100.0)
        tensor(0.9861)
        >>> smooth_max(maps, 1e-3)
        tensor(0.2501)
    """
    flat = full(maps).flatten(-2)
    return (sharpness * flat).logsumexp(-1).sub(math.log(flat.shape[-1])) / sharpness
