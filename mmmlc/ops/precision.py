"""Half precision, where a computation needs more; values beyond what a computation can hold."""

from __future__ import annotations

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are.

    Examples:
        >>> full(torch.zeros(1, dtype=torch.bfloat16)).dtype, full(torch.zeros(1).double()).dtype
        (torch.float32, torch.float64)
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def bounded(x: Tensor, limit: float) -> Tensor:
    """Values beyond ``-limit`` and ``limit`` as these; gradients pass as if they were not.

    So that squares and sums of what a diverging network gives stay finite, and their gradients
    point back. Ordinary values are not changed by a bit; NaN and infinity become NaN.

    Examples:
        >>> bounded(torch.tensor([1e38, -2.0]), 1e15)
        tensor([ 1.0000e+15, -2.0000e+00])
    """
    return x.detach().clamp(-limit, limit) + (x - x.detach())
