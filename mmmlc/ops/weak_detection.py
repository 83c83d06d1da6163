"""Weakly supervised detection: regions pooled, scored, summed to image scores, and detected.

Yongcheng Liu et al., Multi-Label Image Classification via Knowledge Distillation from
Weakly-Supervised Detection, ACM MM 2018 (KD-WSD), extending Bilen and Vedaldi, Weakly Supervised
Deep Detection Networks, CVPR 2016 (WSDDN). All functions are batched over images; half precision is
computed in float32.

B: images, R: proposals per image, C: classes, D: channels, (h, w): map size, M: detections, P:
positive pairs of image and class. Boxes are x1, y1, x2, y2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou, roi_pool


def _full(x: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


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
    maps, boxes = _full(maps), boxes.to(_full(maps).dtype)
    x1, y1, x2, y2 = boxes.unbind(-1)
    image = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
    columns = (image.expand_as(x1), x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y)
    rois = torch.stack(columns, dim=-1).flatten(0, 1)
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
        class_temperature: (C,) positive, t^c of Eq. 7; 1 if None.
        detection_temperature: (R,) positive, t^d of Eq. 7; 1 if None.

    Returns:
        (B, R, C), at least float32. Its sum over R is in [0, 1].

    Examples:
        >>> region_scores(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))[0, :, 0]  # 1 / 4 * 1 / 2
        tensor([0.1250, 0.1250])
    """
    class_logits, detection_logits = _full(class_logits), _full(detection_logits)
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
    scores, targets = _full(scores), _full(targets)
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
    images, classes = targets.nonzero().unbind(1)
    best = scores.detach()[images, :, classes].topk(min(top, scores.shape[1]))  # (P, top)
    chosen = vectors[images[:, None], best.indices]  # (P, top, D)
    chosen_boxes = _full(boxes[images[:, None], best.indices])
    overlap = torch.vmap(box_iou)(chosen_boxes[:, :1], chosen_boxes)[:, 0]
    weights = best.values.square() * (overlap > iou)
    distances = (_full(chosen) - _full(chosen[:, :1])).square().sum(-1)
    return 0.5 * (weights * distances).sum() / len(scores)


@torch.no_grad()
def keep_proposals(
    boxes: Tensor, scores: Tensor, valid: Tensor | None = None, iou: float = 0.4, top: int = 100
) -> Tensor:
    """Choose proposals by non-maximum suppression, best first (Section 3.2).

    Args:
        boxes: (B, R, 4).
        scores: (B, R) of :func:`objectness`.
        valid: (B, R) bool; the others are never chosen. None for all.
        iou: Proposals that overlap a better one by more are dropped.
        top: Proposals per image.

    Returns:
        Indices (B, top) into R. Where fewer are left, they are repeated from the best on.
    """
    scores = _full(scores)
    image = torch.arange(len(boxes), device=boxes.device)[:, None].expand_as(scores)
    # Proposals that are not valid come last in the order, so that they suppress no other.
    ranks = scores if valid is None else scores.masked_fill(~valid, -1)
    kept = batched_nms(_full(boxes).flatten(0, 1), ranks.flatten(), image.flatten(), iou)
    chosen = torch.zeros_like(scores, dtype=torch.bool)
    chosen.view(-1)[kept] = True
    if valid is not None:
        chosen &= valid
    order = scores.masked_fill(~chosen, -torch.inf).argsort(dim=1, descending=True, stable=True)
    counts = chosen.sum(1, keepdim=True).clamp(1, top)
    return order.gather(1, torch.arange(top, device=boxes.device) % counts)


class Detections(NamedTuple):
    """Boxes of all images, by image and then by descending score."""

    boxes: Tensor  # (M, 4)
    scores: Tensor  # (M,)
    labels: Tensor  # (M,) classes
    counts: Tensor  # (B,) how many of the M belong to each image
    regions: Tensor  # (M,) which of the image's R each box is


@torch.no_grad()
def detect(
    scores: Tensor,
    boxes: Tensor,
    iou: float = 0.4,
    min_score: float = 1e-3,
    top: int = 100,
    candidates: int = 1000,
) -> Detections:
    """Detections: non-maximum suppression of each column of S by itself (Section 3.1).

    The best region of each class with a score above 0 is always there, as CorLoc needs it.

    Args:
        scores: (B, R, C) of :func:`region_scores`; what is not valid scores 0.
        boxes: (B, R, 4).
        iou: Boxes that overlap a better one of their class by more are dropped.
        min_score: Other regions than the best of a class are detections if they score more.
        top: Detections per image, of all classes together; C if that is more.
        candidates: Pairs of region and class per image that are looked at, the best ones. The
            result is that of all pairs where ``top`` detections are left of these.
    """
    scores, boxes = _full(scores), _full(boxes)
    num_classes = scores.shape[2]
    # Region scores are at most 1: this puts the best of each class before all others.
    first = torch.zeros_like(scores).scatter_(1, scores.argmax(1, keepdim=True), 2.0)
    flat, ranks = scores.flatten(1), (scores + first).flatten(1)
    pairs = ranks.topk(min(max(candidates, num_classes), flat.shape[1])).indices
    values, leading = flat.gather(1, pairs), first.flatten(1).gather(1, pairs) > 0
    good = (values > min_score) | (leading & (values > 0))
    image = torch.arange(len(flat), device=flat.device)[:, None].expand_as(pairs)[good]
    values, leading, pairs = values[good], leading[good], pairs[good]
    region, label = pairs // num_classes, pairs % num_classes
    chosen = boxes[image, region]
    kept = batched_nms(chosen, values, image * num_classes + label, iou)
    kept = _limit(kept, image, leading, max(top, num_classes))
    counts = image[kept].bincount(minlength=len(flat))
    return Detections(chosen[kept], values[kept], label[kept], counts, region[kept])


def _limit(kept: Tensor, image: Tensor, leading: Tensor, top: int) -> Tensor:
    """At most ``top`` indices of each image, leading ones first to stay; sorted by image."""
    order = kept[(2 * image[kept] + ~leading[kept]).argsort(stable=True)]
    counts = image[order].bincount()
    starts = counts.cumsum(0) - counts
    position = torch.arange(len(order), device=order.device) - starts[image[order]]
    stays = torch.zeros(len(image), dtype=torch.bool, device=order.device)
    stays[order[position < top]] = True
    kept = kept[stays[kept]]
    return kept[image[kept].argsort(stable=True)]
