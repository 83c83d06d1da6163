"""Object and context patches: geometry, labels, losses and scores of SCA-DNN (arXiv 2111.12296).

B: images, P: patches (of one image or of all, as a function says), M: true boxes, C: classes. Boxes
are x1, y1, x2, y2 in pixels. Half precision is computed in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmmlc.ops.boxes import clip_boxes
from mmmlc.ops.checks import check_choice
from mmmlc.ops.precision import full

BRANCHES = ('both', 'object', 'context')


def expand_boxes(boxes: Tensor, factor: float, sizes: Tensor) -> Tensor:
    """Boxes with ``factor`` times the sides around the same centre, cut at the image's edges.

    Args:
        boxes: (..., 4).
        factor: Of width and height, at least 1.
        sizes: (..., 2) height and width of the image of each box.

    Examples:
        >>> box, size = torch.tensor([[10.0, 10, 20, 30]]), torch.tensor([[35, 100]])
        >>> expand_boxes(box, 2, size).tolist()
        [[5.0, 0.0, 25.0, 35.0]]
    """
    start, end = boxes.unflatten(-1, (2, 2)).unbind(-2)
    centre, half = (start + end) / 2, (end - start) * (factor / 2)
    return clip_boxes(torch.cat((centre - half, centre + half), dim=-1), sizes)


def context_labels(
    contexts: Tensor,
    images: Tensor,
    boxes: Tensor,
    box_images: Tensor,
    box_labels: Tensor,
    num_classes: int,
) -> Tensor:
    """Labels of context patches: the classes of all true boxes whose centre a patch covers.

    Args:
        contexts: (P, 4) patches of all images.
        images: (P,) which image each patch belongs to.
        boxes: (M, 4) true boxes of all images.
        box_images: (M,) which image each belongs to.
        box_labels: (M,) their classes.
        num_classes: C.

    Returns:
        (P, C) of 0 and 1; edges belong to the patch.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (centres >= contexts[:, None, :2]) & (centres <= contexts[:, None, 2:])
    covers = inside.all(-1) & (images[:, None] == box_images)
    return ((covers.float() @ F.one_hot(box_labels.long(), num_classes).float()) > 0).float()


def location_loss(deltas: Tensor, targets: Tensor, positive: Tensor) -> Tensor:
    """Smooth L1 with beta 1, summed over x, y, w, h; summed over positives, divided by all patches.

    The slides give the sum over the four; to divide by all patches, as mmdet does, is ours.

    Args:
        deltas: (P, 4) predicted, encoded relative to the patches.
        targets: (P, 4) encoded true boxes; those of negatives are not looked at, but finite.
        positive: (P,) bool.

    Examples:
        >>> location_loss(torch.tensor([[0.5, 2, 0, 0]]), torch.zeros(1, 4), torch.tensor([True]))
        tensor(1.6250)
    """
    loss = F.smooth_l1_loss(full(deltas), full(targets), beta=1.0, reduction='none').sum(-1)
    return (loss * positive).sum() / max(len(deltas), 1)


def patch_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """Binary cross-entropy of the patch classifier, averaged over patches; inputs (P,)."""
    return label_loss(logits[:, None], positive[:, None])


def label_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, summed over classes (as in the slides), averaged over patches.

    Args:
        logits: (P, C).
        targets: (P, C) of 0 and 1.

    Examples:
        >>> label_loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))  # 2 ln 2
        tensor(1.3863)
    """
    logits = full(logits)
    loss = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction='sum')
    return loss / max(len(logits), 1)


def patch_scores(
    confidence: Tensor, objects: Tensor | None, contexts: Tensor | None, branch: str = 'both'
) -> Tensor:
    """Scores of patches: confidence times the mean of object and context score, or one of them.

    Args:
        confidence: (..., P) in [0, 1], of the patch classifier.
        objects: (..., P, C) in [0, 1]; not looked at with ``branch='context'``.
        contexts: (..., P, C) in [0, 1]; not looked at with ``branch='object'``.
        branch: ``'both'``, ``'object'`` or ``'context'``.

    Examples:
        >>> patch_scores(torch.tensor([0.5]), torch.tensor([[1.0]]), torch.tensor([[0.5]]))
        tensor([[0.3750]])
    """
    check_choice('branch', branch, BRANCHES)
    asked = {'object': [objects], 'context': [contexts], 'both': [objects, contexts]}[branch]
    given = [scores for scores in asked if scores is not None]
    if len(given) < len(asked):
        raise ValueError(f'branch={branch!r} needs scores that are None')
    mean = given[0] if len(given) == 1 else (given[0] + given[1]) / 2
    return mean * confidence[..., None]


def best_scores(scores: Tensor, valid: Tensor | None = None) -> Tensor:
    """Image scores (B, C) of patch scores (B, P, C): the maximum over patches, 0 without any.

    Args:
        scores: In [0, 1].
        valid: (B, P) bool; the others take no part. None: all do.
    """
    return (scores if valid is None else scores * valid[..., None]).amax(-2)
