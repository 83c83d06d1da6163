"""Multi-label measures on score matrices: average precision, precision, recall, F1, thresholds.

Legend: N images, C classes, K labels predicted per image. Everything is vectorised over images and
classes, runs where its inputs are, and returns fractions in [0, 1]. Half-precision scores are
compared as float32. ``valid`` (N, C) masks pairs of image and class; ``None`` means all count.

Equal scores are one decision: they are accepted or refused together, as in scikit-learn, so that
no measure depends on the order of the images. The definitions follow
Everingham et al., "The PASCAL VOC Challenge", IJCV 2010 (11-point average precision), and
Gao and Zhou, "Learning to Discover Multi-Class Attentional Regions", TIP 2021 (CP ... OF1).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

# Bounds the working memory to some 300 MB; rows of this many pairs also stay nearer to the cache.
_PAIRS_AT_ONCE = 1 << 22


class Counts(NamedTuple):
    """Per class (C,) int64: true positives, pairs predicted positive, pairs that are positive."""

    tp: Tensor
    predicted: Tensor
    positives: Tensor


class PrecisionRecall(NamedTuple):
    """Precision, recall and F1, float64: per class (C,), their class means, and over all pairs.

    A class without positives is NaN in ``precision``, ``recall`` and ``f1`` and left out of CP, CR,
    CF1 and macro_F1; its predictions count in OP. A class with nothing predicted has precision 0.
    CF1 is the harmonic mean of CP and CR, macro_F1 the mean of ``f1``: not the same number.
    """

    precision: Tensor
    recall: Tensor
    f1: Tensor
    CP: Tensor
    CR: Tensor
    CF1: Tensor
    OP: Tensor
    OR: Tensor
    OF1: Tensor
    macro_F1: Tensor


class _Curve(NamedTuple):
    """Rows in descending score order (R, M): what accepting all up to here gives.

    ``last`` marks the end of a run of equal scores, the only places where a threshold can lie.
    """

    scores: Tensor
    tp: Tensor
    predicted: Tensor
    last: Tensor


def check_scores(scores: Tensor, targets: Tensor, valid: Tensor | None = None) -> None:
    """Raise ``ValueError`` or ``TypeError`` unless the three are usable (N, C) matrices.

    ``scores`` must be floating point without NaN, ``targets`` hold only 0 and 1, ``valid`` be bool.
    """
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f'scores must be (images, classes), got shape {tuple(scores.shape)}')
    if not scores.is_floating_point():
        raise TypeError(f'scores must be floating point, got {scores.dtype}')
    for name, other in (('targets', targets), ('valid', valid)):
        if other is not None and other.shape != scores.shape:
            raise ValueError(
                f'{name} has shape {tuple(other.shape)}, but scores {tuple(scores.shape)}'
            )
    if valid is not None and valid.dtype != torch.bool:
        raise TypeError(f'valid must be bool, got {valid.dtype}')
    _refuse(scores.isnan(), scores, 'scores', 'a number')
    if targets.dtype != torch.bool:
        _refuse((targets != 0) & (targets != 1), targets, 'targets', '0 or 1')


def average_precision(
    scores: Tensor,
    targets: Tensor,
    valid: Tensor | None = None,
    interpolation: Literal['none', 'voc07'] = 'none',
) -> Tensor:
    """Average precision of each class, (C,) float64; NaN for a class without positives.

    ``'none'`` is the mean over the positives of the precision at their score, as
    ``sklearn.metrics.average_precision_score``. ``'voc07'`` is the mean over t = 0, 0.1, ..., 1 of
    the best precision at a recall of at least t; recall and t are compared as exact fractions.

    >>> average_precision(torch.tensor([[0.9], [0.8], [0.7]]), torch.tensor([[1], [0], [1]]))
    tensor([0.8333], dtype=torch.float64)
    """
    check_scores(scores, targets, valid)
    measures = {'none': _plain_ap, 'voc07': _voc07_ap}
    if interpolation not in measures:
        raise ValueError(f"interpolation must be 'none' or 'voc07', got {interpolation!r}")
    num_images, num_classes = scores.shape
    if num_images == 0:
        return scores.new_full((num_classes,), torch.nan, dtype=torch.float64)
    step = max(1, _PAIRS_AT_ONCE // num_images)
    chunks = [slice(start, start + step) for start in range(0, num_classes, step)]
    return torch.cat([
        measures[interpolation](
            _curve(scores[:, c].T, targets[:, c].T, None if valid is None else valid[:, c].T)
        )
        for c in chunks
    ])  # fmt: skip


def labels_at_threshold(scores: Tensor, threshold: float | Tensor) -> Tensor:
    """Labels (N, C) bool with a score of at least ``threshold``, a scalar or one per class (C,).

    MCAR's text says "greater than"; its code, like mmpretrain, accepts equality, and so do we: a
    threshold that is itself a score, as from :func:`best_threshold`, then keeps that score.
    """
    scores = _at_least_float32(scores)
    threshold = torch.as_tensor(threshold, dtype=scores.dtype, device=scores.device)
    if threshold.ndim > 0 and threshold.shape != scores.shape[1:]:
        raise ValueError(
            f'threshold must be a number or one per class ({scores.shape[1]},), '
            f'got shape {tuple(threshold.shape)}'
        )
    return scores >= threshold


def labels_top_k(scores: Tensor, k: int, threshold: float | Tensor | None = None) -> Tensor:
    """Labels (N, C) bool with the min(k, C) highest scores of each image.

    Equal scores go to the lower class index. With ``threshold``, those below it are dropped.
    """
    if k < 1:
        raise ValueError(f'k must be at least 1, got {k}')
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    labels = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)
    return labels if threshold is None else labels & labels_at_threshold(scores, threshold)


def count_labels(labels: Tensor, targets: Tensor, valid: Tensor | None = None) -> Counts:
    """Count predicted ``labels`` (N, C) bool against ``targets`` (N, C) in 0/1."""
    if labels.dtype != torch.bool or labels.shape != targets.shape:
        raise ValueError(
            f'labels must be bool of shape {tuple(targets.shape)} like targets, '
            f'got {labels.dtype} {tuple(labels.shape)}'
        )
    positive = targets.bool()
    if valid is not None:
        labels, positive = labels & valid, positive & valid
    return Counts((labels & positive).sum(0), labels.sum(0), positive.sum(0))


def precision_recall(counts: Counts) -> PrecisionRecall:
    """Per-class (C), overall (O) and macro measures of the counts; all NaN without any positive."""
    tp, predicted, positives = (c.double() for c in counts)
    with_positives = positives > 0
    precision = (tp / predicted.clamp(min=1)).where(with_positives, torch.nan)
    recall = tp / positives
    f1 = 2 * tp / (predicted + positives).where(with_positives, torch.nan)
    cp, cr = precision.nanmean(), recall.nanmean()
    overall_p = tp.sum() / predicted.sum().clamp(min=1)
    overall_r = tp.sum() / positives.sum()
    return PrecisionRecall(
        precision, recall, f1,
        cp, cr, _harmonic_mean(cp, cr),
        overall_p, overall_r, _harmonic_mean(overall_p, overall_r),
        f1.nanmean(),
    )  # fmt: skip


def best_threshold(
    scores: Tensor, targets: Tensor, valid: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The one threshold for all classes with the highest OF1, and that OF1 (float64); both 0-d.

    Exact: every distinct score is tried. Of equally good ones it is the highest. ``ValueError``
    without a valid positive, when no threshold is better than another.
    """
    check_scores(scores, targets, valid)
    row = None if valid is None else valid.reshape(1, -1)
    positives = targets.bool() if valid is None else targets.bool() & valid
    if not positives.any():
        raise ValueError(f'no positive among {scores.numel()} pairs: there is no best threshold')
    curve = _curve(scores.reshape(1, -1), targets.reshape(1, -1), row)
    threshold, f1 = _best_in_rows(curve)
    return threshold[0], f1[0]


def best_class_thresholds(
    scores: Tensor, targets: Tensor, valid: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """For each class the threshold with its highest F1, and that F1 (float64); both (C,).

    As exact as :func:`best_threshold`. A class without a valid positive has NaN in both.

    >>> scores = torch.tensor([[0.9, 0.4], [0.6, 0.3], [0.7, 0.1]])
    >>> best_class_thresholds(scores, torch.tensor([[1, 1], [0, 1], [1, 0]]))[0]
    tensor([0.7000, 0.3000])
    """
    check_scores(scores, targets, valid)
    num_images, num_classes = scores.shape
    if num_images == 0:
        missing = torch.full((num_classes,), torch.nan, device=scores.device)
        return missing, missing.double()
    step = max(1, _PAIRS_AT_ONCE // num_images)
    found = []
    for c in (slice(start, start + step) for start in range(0, num_classes, step)):
        mask = None if valid is None else valid[:, c].T
        found.append(_best_in_rows(_curve(scores[:, c].T, targets[:, c].T, mask)))
    thresholds, f1 = map(torch.cat, zip(*found, strict=True))
    return thresholds.where(f1 >= 0, torch.nan), f1.where(f1 >= 0, torch.nan)


def _best_in_rows(curve: _Curve) -> tuple[Tensor, Tensor]:
    """Score with the highest F1 of each row and that F1, -1 without positives; both (R,)."""
    positives = curve.tp[:, -1:]
    f1 = 2 * curve.tp.double() / (curve.predicted + positives).clamp(min=1)
    f1 = f1.where(curve.last & (positives > 0), -1)
    best = f1.argmax(1, keepdim=True)
    return curve.scores.gather(1, best)[:, 0], f1.gather(1, best)[:, 0]


def _curve(scores: Tensor, targets: Tensor, valid: Tensor | None) -> _Curve:
    """Sort rows (R, M) and accumulate; pairs that are not valid add nothing."""
    scores = _at_least_float32(scores).contiguous()
    order = _descending_order(scores)
    scores = scores.gather(1, order)
    hits = (targets.bool() if valid is None else targets.bool() & valid).gather(1, order)
    if valid is None:
        counted = torch.arange(1, scores.shape[1] + 1, device=scores.device).expand_as(scores)
    else:
        counted = valid.gather(1, order).cumsum(1)
    last = torch.ones_like(hits)
    last[:, :-1] = scores[:, 1:] != scores[:, :-1]
    return _Curve(scores, hits.cumsum(1), counted, last)


def _descending_order(scores: Tensor) -> Tensor:
    if scores.device.type != 'cpu':
        return scores.argsort(dim=1, descending=True)
    # NumPy's vectorised sort is three times as fast as torch's on the CPU.
    return torch.from_numpy(scores.neg().numpy().argsort(axis=1))


def _plain_ap(curve: _Curve) -> Tensor:
    positives = curve.tp[:, -1]
    ends = curve.last.flatten().nonzero().squeeze(1)
    found = curve.tp.flatten()[ends]
    gain = found.diff(prepend=found.new_zeros(1))
    # The run before a row's first one belongs to the row above.
    first = curve.last.sum(1).cumsum(0)[:-1]
    gain[first] += positives[:-1]
    rises = gain.nonzero().squeeze(1)
    ends = ends[rises]
    terms = torch.zeros_like(curve.tp, dtype=torch.float64)
    terms.view(-1)[ends] = gain[rises] * found[rises].double() / curve.predicted.flatten()[ends]
    return terms.sum(1) / positives


def _voc07_ap(curve: _Curve) -> Tensor:
    positives = curve.tp[:, -1:]
    precision = curve.tp.double() / curve.predicted.clamp(min=1)
    precision = precision.where(curve.last, 0)
    best_from_here = precision.flip(1).cummax(1).values.flip(1)
    # The least count with count / positives >= t / 10, in integers: 0.1 * 3 > 0.3 in floats.
    needed = (torch.arange(11, device=positives.device) * positives + 9) // 10
    reached = torch.searchsorted(curve.tp, needed)
    points = best_from_here.gather(1, reached)
    return points.mean(1).where(positives.squeeze(1) > 0, torch.nan)


def _harmonic_mean(a: Tensor, b: Tensor) -> Tensor:
    return 2 * a * b / (a + b).clamp(min=torch.finfo(torch.float64).tiny)


def _at_least_float32(scores: Tensor) -> Tensor:
    return scores.detach().to(torch.promote_types(scores.dtype, torch.float32))


def _refuse(wrong: Tensor, values: Tensor, name: str, expected: str) -> None:
    if wrong.any():
        image, label = wrong.nonzero()[0].tolist()
        value = values[image, label].item()
        raise ValueError(f'{name}[{image}, {label}] is {value}, expected {expected}')
