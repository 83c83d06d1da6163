"""Attentional regions of RDAL: affine sampling, the recurrent cell, constraints and loss.

Zhouxia Wang et al., Multi-label Image Recognition by Recurrently Discovering Attentional Regions,
ICCV 2017. All functions are batched and differentiable; half precision is computed in float32.

B: images, K: regions per image, C: classes, F: channels, D: width of the state, (h, w): map size.
A region is a matrix (2, 3), [[s_x, 0, t_x], [0, s_y, t_y]] (Eq. 1), in coordinates in which the
outer edges of the map are -1 and 1.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from mmmlc.ops.precision import bounded, full

# Of coordinates, where the image ends at 1, and of the cell's memory: squares fit into float32.
FARTHEST = 1e15


def parameter_matrices(parameters: Tensor) -> Tensor:
    """Matrices (..., 2, 3) of parameters (..., 4) s_x, s_y, t_x, t_y (Eq. 1).

    Examples:
        >>> parameter_matrices(torch.tensor([0.5, 0.4, 0.1, 0.2]))
        tensor([[0.5000, 0.0000, 0.1000],
                [0.0000, 0.4000, 0.2000]])
    """
    s_x, s_y, t_x, t_y = full(parameters).unbind(-1)
    zero = torch.zeros_like(s_x)
    return torch.stack((s_x, zero, t_x, zero, s_y, t_y), dim=-1).unflatten(-1, (2, 3))


def whole_image(maps: Tensor) -> Tensor:
    """Matrices (B, 2, 3) of the whole image (Eq. 3) for maps (B, F, h, w)."""
    return torch.eye(2, 3, device=maps.device).expand(len(maps), 2, 3)


def sample_regions(maps: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """The spatial transformer, ``st(f_I, M)`` of Eq. 2: bilinear, zero outside of the map.

    Args:
        maps: (B, F, h, w).
        matrices: (B, 2, 3).
        size: Height and width of the result.

    Returns:
        (B, F, *size) of the maps' type.
    """
    with torch.autocast(maps.device.type, enabled=False):
        matrices = bounded(full(matrices), FARTHEST)
        grid = F.affine_grid(matrices, [len(maps), maps.shape[1], *size], align_corners=False)
        sampled = F.grid_sample(full(maps), grid.to(full(maps).dtype), align_corners=False)
    return sampled.to(maps.dtype)


def matrix_boxes(matrices: Tensor) -> Tensor:
    """Boxes of regions (..., 2, 3): (..., 4) x1, y1, x2, y2 as fractions, clipped to the image.

    Examples:
        >>> matrix_boxes(torch.tensor([[0.5, 0.0, 0.0], [0.0, -0.25, 1.0]]))
        tensor([0.2500, 0.8750, 0.7500, 1.0000])
    """
    extent, centre = matrices.diagonal(dim1=-2, dim2=-1).abs(), matrices[..., 2]
    return ((torch.cat((centre - extent, centre + extent), dim=-1) + 1) / 2).clamp(0, 1)


def box_matrices(boxes: Tensor) -> Tensor:
    """Matrices (..., 2, 3) of boxes (..., 4) x1, y1, x2, y2 as fractions of the image."""
    first, second = boxes[..., :2], boxes[..., 2:]
    return parameter_matrices(torch.cat((second - first, first + second - 1), dim=-1))


def memory_step(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """The cell of Eq. 4 from its summed inputs; unlike the usual LSTM without tanh on the memory.

    Args:
        gates: (B, 4 D), the arguments of i (input), g (forget), o (output) and m (modulation).
        memory: c of the step before, (B, D).

    Returns:
        Hidden state h and memory c, (B, D) each, at least float32.
    """
    i, g, o, m = full(gates).chunk(4, dim=-1)
    memory = g.sigmoid() * bounded(full(memory), FARTHEST) + i.sigmoid() * m.tanh()
    return o.sigmoid() * memory, memory


def region_anchors(num_regions: int) -> list[tuple[float, float]]:
    """Anchor points of the regions 2 ... K, evenly on the circle of radius sqrt(2)/2 (Section 4.2).

    From 45 degrees in even steps. K = 5 gives the paper's four in the paper's order; for other K,
    which the paper leaves open, they come likewise: from right to left, positive y first.

    Examples:
        >>> [(round(x, 3), round(y, 3)) for x, y in region_anchors(5)]
        [(0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5)]
    """
    count = num_regions - 1
    # In turns, exact, within (-1/2, 1/2].
    turns = [Fraction(1, 2) - (Fraction(3, 8) - Fraction(j, count)) % 1 for j in range(count)]
    turns.sort(key=lambda turn: (abs(turn), -turn))
    angles = [2 * math.pi * float(turn) for turn in turns]
    return [(math.sqrt(0.5) * math.cos(a), math.sqrt(0.5) * math.sin(a)) for a in angles]


def anchor_constraint(matrices: Tensor) -> Tensor:
    """Distance of the regions 2 ... K to their anchors (Eq. 9), summed over regions.

    Args:
        matrices: (B, K, 2, 3).

    Returns:
        (B,); 0 for K = 1.
    """
    centres = bounded(full(matrices), FARTHEST)[:, 1:, :, 2]
    # Not new_tensor: torch 2.4 has none under vmap.
    anchors = torch.tensor(
        region_anchors(matrices.shape[1]), dtype=centres.dtype, device=centres.device
    ).view(-1, 2)
    return 0.5 * (centres - anchors).square().sum((1, 2))


def scale_constraint(matrices: Tensor, alpha: float = 0.5) -> Tensor:
    """Penalty of regions larger than ``alpha`` of the image (Eq. 10-11), summed over regions.

    Args:
        matrices: (B, K, 2, 3).
        alpha: Scale up to which there is no penalty.

    Returns:
        (B,).
    """
    scales = bounded(full(matrices), FARTHEST).diagonal(dim1=-2, dim2=-1)
    return (scales.abs() - alpha).clamp(min=0).square().sum((1, 2))


def positive_constraint(matrices: Tensor, beta: float = 0.1) -> Tensor:
    """Penalty of regions mirrored or smaller than ``beta`` (Eq. 12), summed over regions.

    Args:
        matrices: (B, K, 2, 3).
        beta: Scale from which there is no penalty.

    Returns:
        (B,).
    """
    scales = bounded(full(matrices), FARTHEST).diagonal(dim1=-2, dim2=-1)
    return (beta - scales).clamp(min=0).sum((1, 2))


def euclidean_softmax(logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
    """Squared distance of softmax and normalised labels (Eq. 7-8), summed over classes.

    Args:
        logits: (B, C).
        targets: (B, C), 0 or positive.
        valid: (B, C) bool. A class that is False does not exist for its image: it takes part
            neither in the softmax nor in the labels, and gets no gradient. None: all take part.

    Returns:
        (B,); 0 for an image without labels, which has no target.

    Examples:
        >>> euclidean_softmax(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        tensor([0.5000, 0.0000])
    """
    logits, targets = full(logits), full(targets)
    if valid is not None:
        # The least finite number, not -inf: a softmax over nothing would be NaN.
        logits = logits.masked_fill(~valid, torch.finfo(logits.dtype).min)
        targets = targets * valid
    total = targets.sum(-1, keepdim=True)
    labelled = total > 0
    expected = targets / torch.where(labelled, total, 1)
    return ((logits.softmax(-1) - expected).square() * labelled).sum(-1)
