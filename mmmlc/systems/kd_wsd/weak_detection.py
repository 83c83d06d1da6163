"""Weakly supervised detection: regions pooled, scored, summed to image scores, and detected.

Yongcheng Liu et al., Multi-Label Image Classification via Knowledge Distillation from
Weakly-Supervised Detection, ACM MM 2018 (KD-WSD), extending Bilen and Vedaldi, Weakly Supervised
Deep Detection Networks, CVPR 2016 (WSDDN). All functions are batched over images; half precision is
computed in float32.

B: images, R: proposals per image, C: classes, D: channels, (h, w): map size, P: positive pairs of
image and class. Boxes are x1, y1, x2, y2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmmlc.ops.precision import bounded, full

# Squares of larger ones, summed over channels, do not fit into float32.
LARGEST = 1e15


def pool_regions(
    maps: Tensor, boxes: Tensor, input_size: tuple[int, int], output_size: int = 7
) -> Tensor:
    """RoI max-pooling, ``phi_ROI`` of Eq. 2, rounding boxes to whole cells.

    Args:
        maps: (B, D, h, w), of the whole input.
        boxes: (B, R, 4) in pixels of an input of ``input_size``. Maps of the same images at another
            scale take the same boxes with the same ``input_size``.
        input_size: Height and width.
        output_size: Rows and columns of the result.

    Returns:
        (B, R, D, output_size, output_size), at least float32.
    """
    scale_y, scale_x = (
        cells / side for cells, side in zip(maps.shape[-2:], input_size, strict=True)
    )
    maps, boxes = full(maps), boxes.to(full(maps).dtype)
    x1, y1, x2, y2 = boxes.unbind(-1)
    image = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
    columns = (image.expand_as(x1), x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y)
    rois = torch.stack(columns, dim=-1).flatten(0, 1)
    from torchvision.ops import roi_pool  # here: the module itself needs torch alone

    with torch.autocast(maps.device.type, enabled=False):
        pooled = roi_pool(maps.contiguous(), rois, output_size)
    return pooled.unflatten(0, boxes.shape[:2])


def region_scores(
    class_logits: Tensor,
    detection_logits: Tensor,
    valid: Tensor | None = None,
    class_temperature: Tensor | None = None,
    detection_temperature: Tensor | None = None,
) -> Tensor:
    """Scores S of regions: softmax over classes times softmax over proposals (Section 3.1, Eq. 7).

    Args:
        class_logits: (B, R, C), M^c.
        detection_logits: (B, R, C), M^d.
        valid: (B, R) bool; the others take no part in the softmax over proposals and score 0. None:
            all are valid, as in the paper, which repeats proposals where an image has too few.
        class_temperature: (C,) from 1e-6 on, t^c of Eq. 7; 1 if None.
        detection_temperature: (R,) from 1e-6 on, t^d of Eq. 7; 1 if None.

    Returns:
        (B, R, C), at least float32. Its sum over R is in [0, 1].

    Examples:
        >>> region_scores(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))[0, :, 0]  # 1 / 4 * 1 / 2
        tensor([0.1250, 0.1250])
    """
    class_logits = bounded(full(class_logits), LARGEST)
    detection_logits = bounded(full(detection_logits), LARGEST)
    if class_temperature is not None:
        class_logits = class_logits / class_temperature
    if detection_temperature is not None:
        detection_logits = detection_logits / detection_temperature[:, None]
    if valid is None:
        return class_logits.softmax(-1) * detection_logits.softmax(-2)
    # Finite, so that an image without any valid proposal has scores 0 and no nan.
    lowest = torch.finfo(detection_logits.dtype).min
    detection = detection_logits.masked_fill(~valid[..., None], lowest).softmax(-2)
    return class_logits.softmax(-1) * detection * valid[..., None]


def image_scores(scores: Tensor) -> Tensor:
    """Image scores (B, C) of region scores (B, R, C): the sum over regions, ``p`` of Section 3.1.

    In [0, 1] up to rounding.
    """
    return scores.sum(-2)


def objectness(scores: Tensor) -> Tensor:
    """Objectness (B, R) of region scores (B, R, C): the sum over classes, ``s'`` of Eq. 4."""
    return scores.sum(-1)


def image_loss(
    scores: Tensor, targets: Tensor, valid: Tensor | None = None, clamp: float = 1e-6
) -> Tensor:
    """Binary cross-entropy of image scores, summed over classes and averaged over images.

    Args:
        scores: (B, C) of :func:`image_scores`.
        targets: (B, C) of 0 and 1.
        valid: (B, C) bool, the pairs that take part; None for all.
        clamp: The logarithms are of scores clamped to [clamp, 1 - clamp]. The gradient ignores the
            clamping, or a class whose score is below it could never be learnt.

    Examples:
        >>> image_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """
    scores, targets = full(scores), full(targets)
    scores = scores + (scores.clamp(clamp, 1 - clamp) - scores).detach()
    loss = -(targets * scores.log() + (1 - targets) * (1 - scores).log())
    if valid is not None:
        loss = loss * valid
    return loss.sum(-1).mean()


def spatial_regulariser(
    scores: Tensor,
    vectors: Tensor,
    boxes: Tensor,
    targets: Tensor,
    iou: float = 0.6,
    top: int = 10,
) -> Tensor:
    """WSDDN's penalty on regions that overlap the best one and do not look like it.

    As in the code of WSDDN's authors: of the ``top`` regions of each positive class, those whose
    IoU with the best exceeds ``iou`` cost half the squared distance of their features to the best
    one's, times their squared score. The scores get no gradient. Summed over classes, averaged over
    images.

    Args:
        scores: (B, R, C) of :func:`region_scores`.
        vectors: (B, R, D) features before the two branches (fc7).
        boxes: (B, R, 4).
        targets: (B, C) of 0 and 1.
        iou: In [0, 1].
        top: Regions per class, the best included.
    """
    from torchvision.ops import box_iou  # here: the module itself needs torch alone

    images, classes = targets.nonzero().unbind(1)
    best = scores.detach()[images, :, classes].topk(min(top, scores.shape[1]))  # (P, top)
    chosen = bounded(full(vectors[images[:, None], best.indices]), LARGEST)  # (P, top, D)
    chosen_boxes = full(boxes[images[:, None], best.indices])
    overlap = torch.vmap(box_iou)(chosen_boxes[:, :1], chosen_boxes)[:, 0]
    weights = best.values.square() * (overlap > iou)
    distances = (chosen - chosen[:, :1]).square().sum(-1)
    return 0.5 * (weights * distances).sum() / len(scores)
