"""Which boxes to keep: proposals of an image, and detections of its classes.

B: images, R: boxes of an image, C: classes, M: detections of all images. Boxes are x1, y1, x2, y2.
Batched over images; half precision is computed in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .precision import full


@torch.no_grad()
def keep_proposals(
    boxes: Tensor, scores: Tensor, valid: Tensor | None = None, iou: float = 0.4, top: int = 100
) -> Tensor:
    """Choose proposals by non-maximum suppression, best first (KD-WSD, Section 3.2).

    Args:
        boxes: (B, R, 4).
        scores: (B, R) of objectness, or any other.
        valid: (B, R) bool; the others are never chosen. None for all.
        iou: Proposals that overlap a better one by more are dropped.
        top: Proposals per image.

    Returns:
        Indices (B, top) into R. Where fewer are left, they are repeated from the best on.
    """
    from torchvision.ops import batched_nms  # here: the module itself needs torch alone

    scores = full(scores)
    image = torch.arange(len(boxes), device=boxes.device)[:, None].expand_as(scores)
    # Proposals that are not valid come last in the order, so that they suppress no other.
    ranks = scores if valid is None else scores.masked_fill(~valid, -1)
    kept = batched_nms(full(boxes).flatten(0, 1), ranks.flatten(), image.flatten(), iou)
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
    """Detections: non-maximum suppression of each column of S by itself (KD-WSD, Section 3.1).

    The best region of each class with a score above 0 is always there, as CorLoc needs it.

    Args:
        scores: (B, R, C) in [0, 1]; what is not valid scores 0.
        boxes: (B, R, 4).
        iou: Boxes that overlap a better one of their class by more are dropped.
        min_score: Other regions than the best of a class are detections if they score more.
        top: Detections per image, of all classes together; C if that is more.
        candidates: Pairs of region and class per image that are looked at, the best ones. The
            result is that of all pairs where ``top`` detections are left of these.
    """
    from torchvision.ops import batched_nms  # here: the module itself needs torch alone

    scores, boxes = full(scores), full(boxes)
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
