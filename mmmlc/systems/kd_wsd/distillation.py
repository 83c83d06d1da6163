"""Losses between a teacher and a student, as functions of their outputs.

Yongcheng Liu et al., Multi-Label Image Classification via Knowledge Distillation from
Weakly-Supervised Detection, ACM MM 2018 (KD-WSD), and the methods it compares with: FitNets (Romero
et al., ICLR 2015) and attention transfer (Zagoruyko and Komodakis, ICLR 2017). All average over
images and compute half precision in float32.

B: images, T: regions per image, C: classes, D: channels, (h, w): map size. Boxes are x1, y1, x2, y2
as fractions of the image.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mmmlc.ops.boxes import image_size
from mmmlc.ops.precision import bounded, full

from .weak_detection import pool_regions

# Squares of larger ones, summed over a map, do not fit into float32; means of squares, which are
# squared once more, of less large ones.
LARGEST, LARGEST_TWICE = 1e15, 1e8


def resize_images(images: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """Images (B, 3, H, W) resized to ``size``, antialiased; as they are where it is None."""
    size = (size, size) if isinstance(size, int) else size
    if size is None or images.shape[-2:] == tuple(size):
        return images
    return F.interpolate(images, size=tuple(size), mode='bilinear', antialias=True)


def roi_feature_loss(
    student: Tensor, teacher: Tensor, boxes: Tensor, weights: Tensor | None = None, size: int = 7
) -> Tensor:
    """``L_f``: half the squared distance of weighted RoI-pooled features (Eq. 3-4).

    Args:
        student: Map (B, D, h, w), already with the channels of the teacher's.
        teacher: Map (B, D, h', w') of the same images, at any scale.
        boxes: (B, T, 4) of the regions that are left after non-maximum suppression.
        weights: (B, T) objectness ``s'``; None for 1.
        size: Rows and columns of a pooled region.

    Returns:
        Scalar: summed over channels and cells, averaged over regions and images, halved.

    Examples:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 8, 8)
        >>> whole = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])
        >>> roi_feature_loss(student, teacher, whole, torch.tensor([[0.5]]), 1)  # 2 * 0.5**2 / 2
        tensor(0.2500)
    """
    ours, theirs = (
        bounded(pool_regions(maps, boxes, (1, 1), size), LARGEST) for maps in (student, teacher)
    )
    distances = (ours - theirs).square().sum((-3, -2, -1))
    if weights is not None:
        distances = distances * full(weights).square()
    return distances.mean() / 2


def prediction_loss(student: Tensor, teacher: Tensor, kind: str = 'squared') -> Tensor:
    """``L_p'``: distance of softened predictions (Eq. 5), summed over classes.

    Args:
        student: Softened logits ``m / t`` (B, C).
        teacher: Softened scores ``p'^T`` (B, C), in [0, 1].
        kind: ``'squared'``, half the squared distance, or ``'cross_entropy'``, as in the network
            definition of the paper's authors.

    Examples:
        >>> import torch
        >>> prediction_loss(torch.zeros(2, 3), torch.ones(2, 3))  # 3 * 0.5**2 / 2
        tensor(0.3750)
    """
    student, teacher = bounded(full(student), 2 * LARGEST), full(teacher)
    if kind == 'squared':
        return (teacher - student.sigmoid()).square().sum(-1).mean() / 2
    loss = F.binary_cross_entropy_with_logits(student, teacher, reduction='none')
    return loss.sum(-1).mean()


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """FitNets' hint: half the squared distance of two maps, averaged over locations.

    Args:
        student: Map (B, D, h, w), already with the channels of the teacher's.
        teacher: Map (B, D, h', w'); averaged over cells to (h, w).
    """
    teacher = F.adaptive_avg_pool2d(bounded(full(teacher), LARGEST), image_size(student))
    return (teacher - bounded(full(student), LARGEST)).square().sum(1).mean() / 2


def attention_map(maps: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Attention (B, h * w) of a map (B, D, h, w): the squares' mean over channels, of length 1.

    Args:
        size: Cells (h, w) to average it over; None keeps those of the map.
    """
    maps = full(maps)
    # Its length is 1 whatever the scale: only maps whose squares are too large are scaled.
    largest = maps.detach().abs().amax((1, 2, 3), keepdim=True)
    attention = (maps / (largest / LARGEST_TWICE).clamp(min=1)).square().mean(1)
    if size is not None:
        attention = F.adaptive_avg_pool2d(attention, size)
    return F.normalize(attention.flatten(1), dim=1)


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Attention transfer: half the squared distance of the attention of two maps.

    The paper writes the distance, its authors' code squares it, and so do we: the distance has no
    gradient at 0.

    Args:
        student: (B, D, h, w).
        teacher: (B, D', h', w').
    """
    size = image_size(student)
    return (attention_map(teacher, size) - attention_map(student)).square().sum(1).mean() / 2
