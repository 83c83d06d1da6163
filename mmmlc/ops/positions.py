"""Position encodings of feature maps. D: channels, (h, w): map size."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_positions(
    size: tuple[int, int],
    channels: int,
    temperature: float = 10000.0,
    device: torch.device | None = None,
) -> Tensor:
    """Sines and cosines of the place in a map, for maps of any size.

    End-to-End Object Detection with Transformers (ECCV 2020): the one-dimensional encoding of
    Attention Is All You Need (Section 3.5) for row and column, with places 1 to n stretched to
    2 pi / n to 2 pi, as in the authors' code. The first half of the channels belongs to the row.

    Args:
        size: (h, w).
        channels: D, a multiple of 4.
        temperature: The longest wave is almost this many times as long as the side of the map; the
            shortest is as long as the side.
        device: Of the encoding.

    Returns:
        (h * w, D) in [-1, 1], float32, row after row.

    Raises:
        ValueError: for other channels.

    Examples:
        >>> sine_positions((1, 2), 4).round(decimals=3) + 0.0
        tensor([[ 0.,  1.,  0., -1.],
                [ 0.,  1.,  0.,  1.]])
    """
    if channels < 4 or channels % 4:
        raise ValueError(f'channels is {channels}, expected a multiple of 4')
    steps = torch.arange(channels // 4, dtype=torch.float32, device=device)
    rates = temperature ** (-steps / (channels // 4))
    halves = []
    for length in size:
        places = torch.arange(1, length + 1, dtype=torch.float32, device=device)
        angles = (2 * math.pi / length * places)[:, None] * rates
        halves.append(torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1))
    rows, columns = halves
    shape = (*size, channels // 2)
    return torch.cat((rows[:, None].expand(shape), columns.expand(shape)), dim=-1).flatten(0, 1)
