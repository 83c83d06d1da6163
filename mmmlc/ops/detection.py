"""Detection measures at one IoU threshold: average precision of Pascal VOC, and CorLoc.

Legend: D detections, M true boxes, P pairs of a detection and a true box of its image, C classes.
NumPy arrays of all images one after the other; nothing loops over images or boxes.

Boxes are x1, y1, x2, y2 in one unit for each image, with x2 - x1 as width. The VOC devkit counts
pixels from 1 and both ends as inside, so its width is xmax - xmin + 1: the same number where its
boxes are read as (xmin - 1, ymin - 1, xmax, ymax), as :class:`mmmlc.datasets.VOC` does.

Everingham et al., "The PASCAL VOC Challenge", IJCV 2010 (average precision); Deselaers, Alexe and
Ferrari, "Weakly Supervised Localization and Learning with Generic Knowledge", IJCV 2012 (CorLoc).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from .checks import check_choice

TRUE, FALSE, LEFT_OUT = 1, 0, -1


class Detected(NamedTuple):
    """Detections of one class."""

    images: np.ndarray  # (D,) index of the image, from 0
    boxes: np.ndarray  # (D, 4)
    scores: np.ndarray  # (D,)


class Truth(NamedTuple):
    """True boxes of one class."""

    images: np.ndarray  # (M,) index of the image, from 0
    boxes: np.ndarray  # (M, 4)
    difficult: np.ndarray  # (M,) bool, neither to be found nor wrong to find
    crowd: np.ndarray  # (M,) bool, around several objects; what lies inside is left out


class DetectionMeasures(NamedTuple):
    """Per class (C,), fractions in [0, 1]; NaN for a class without a box that counts."""

    ap: np.ndarray  # area under the curve, VOC 2010 and later
    ap_11point: np.ndarray  # VOC 2007
    corloc: np.ndarray
    boxes: np.ndarray  # how many count: neither difficult nor crowd
    images: np.ndarray  # how many have one of these


_Rows = TypeVar('_Rows', Detected, Truth)


def match(detected: Detected, truth: Truth, iou: float = 0.5) -> np.ndarray:
    """Say of each detection of a class whether it is true.

    A detection belongs to the box of its image that it overlaps most (of equals the first), if the
    IoU is at least ``iou``. It is left out if that box is difficult, true if it has the highest
    score there, false if not: a duplicate. Detections without such a box are false. What would be
    false is left out if a share of at least ``iou`` of it lies in a crowd box.

    Returns:
        (D,) int8: 1 true, 0 false, -1 left out.

    Raises:
        ValueError: if ``iou`` is not in (0, 1].

    Examples:
        >>> boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4]])
        >>> no, images = np.zeros(1, bool), np.zeros(3, int)
        >>> truth = Truth(images[:1], boxes[:1], no, no)
        >>> match(Detected(images, boxes, np.array([0.5, 0.9, 0.8])), truth).tolist()
        [0, 1, 0]
    """
    _check_iou(iou)
    objects, crowds = _select(truth, ~truth.crowd), _select(truth, truth.crowd)
    box, overlap = _best_boxes(detected, objects, _ious)
    hits = _descending(detected.scores)
    hits = hits[overlap[hits] >= iou]
    outcomes = np.full(len(detected.scores), FALSE, dtype=np.int8)
    _, first = np.unique(box[hits], return_index=True)
    outcomes[hits[first]] = TRUE
    _, inside = _best_boxes(detected, crowds, _shares_inside)
    outcomes[(outcomes == FALSE) & (inside >= iou)] = LEFT_OUT
    outcomes[hits[objects.difficult[box[hits]]]] = LEFT_OUT
    return outcomes


def average_precision(
    scores: np.ndarray, outcomes: np.ndarray, positives: int, interpolation: str = 'area'
) -> float:
    """Average precision of a class, in [0, 1].

    Equal scores are one decision, accepted or refused together, so that the value does not depend
    on the order of the images.

    Args:
        scores: (D,) of all detections.
        outcomes: (D,) of :func:`match`.
        positives: True boxes that count. NaN is returned if there are none.
        interpolation: ``'area'`` under the curve of the best precision at each recall or a higher
            one (VOC 2010 and later), ``'11point'`` for its mean at recall 0, 0.1, ..., 1 (VOC
            2007); recalls are compared as exact fractions.

    Examples:
        >>> outcomes = np.array([1, 0, 1])  # precision 1, 1/2, 2/3
        >>> round(average_precision(np.array([0.9, 0.8, 0.7]), outcomes, 2), 4)
        0.8333
    """
    check_choice('interpolation', interpolation, ('area', '11point'))
    if positives == 0:
        return np.nan
    counted = outcomes != LEFT_OUT
    scores, hits = scores[counted], outcomes[counted]
    order = _descending(scores)
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    found = hits[order].cumsum()[ends]
    precision = found / (ends + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    if interpolation == 'area':
        return float((np.diff(found, prepend=0) * best_from_here).sum() / positives)
    # The least count with count / positives >= t / 10, in integers: 0.1 * 3 > 0.3 in floats.
    needed = (np.arange(11) * positives + 9) // 10
    reached = np.searchsorted(found, needed)
    return float(np.append(best_from_here, 0.0)[reached].mean())


def count_localised(detected: Detected, truth: Truth, iou: float = 0.5) -> tuple[int, int]:
    """Images of a class where it is localised, and images that count; their ratio is CorLoc.

    An image counts if it has a box of the class that is neither difficult nor crowd. It is
    localised if its detection with the highest score (of equals the first) has an IoU of at least
    ``iou`` with a box of the class: crowds do not help, difficult boxes do. Detections in other
    images play no part.

    Raises:
        ValueError: if ``iou`` is not in (0, 1].
    """
    _check_iou(iou)
    order = np.lexsort((-detected.scores, detected.images))
    first = np.flatnonzero(np.diff(detected.images[order], prepend=-1))
    best = _select(detected, order[first])
    _, overlap = _best_boxes(best, _select(truth, ~truth.crowd), _ious)
    counted = np.unique(truth.images[~(truth.difficult | truth.crowd)])
    localised = np.isin(counted, best.images[overlap >= iou])
    return int(localised.sum()), len(counted)


def detection_measures(
    detected: Detected,
    detected_labels: np.ndarray,
    truth: Truth,
    true_labels: np.ndarray,
    num_classes: int,
    iou: float = 0.5,
) -> DetectionMeasures:
    """Average precision and CorLoc of all classes.

    Args:
        detected: Detections of all classes.
        detected_labels: (D,) in 0 ... C - 1.
        truth: True boxes of all classes.
        true_labels: (M,) in 0 ... C - 1.
        num_classes: C.
        iou: Least IoU of a detection with its box, in (0, 1].
    """
    rows = []
    for found, boxes in zip(
        _by_class(detected, detected_labels, num_classes),
        _by_class(truth, true_labels, num_classes),
        strict=True,
    ):
        outcomes = match(found, boxes, iou)
        positives = int((~(boxes.difficult | boxes.crowd)).sum())
        areas, points = (
            average_precision(found.scores, outcomes, positives, how) for how in ('area', '11point')
        )
        localised, images = count_localised(found, boxes, iou)
        rows.append((areas, points, localised / images if images else np.nan, positives, images))
    return DetectionMeasures(*map(np.array, zip(*rows, strict=True)))


def _by_class(boxes: _Rows, labels: np.ndarray, num_classes: int) -> list[_Rows]:
    order = labels.argsort(kind='stable')
    ends = np.searchsorted(labels[order], np.arange(1, num_classes))
    return [_select(boxes, rows) for rows in np.split(order, ends)]


def _select(boxes: _Rows, rows: np.ndarray) -> _Rows:
    return type(boxes)(*(field[rows] for field in boxes))


def _descending(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, kind='stable')


def _best_boxes(
    detected: Detected, truth: Truth, measure: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Box (D,) of its image that each detection overlaps most, and how much; -1 and 0 if none."""
    rows, boxes = _pairs(detected.images, truth.images)
    values = measure(detected.boxes[rows], truth.boxes[boxes])
    # ``rows`` ascend, so sorting within a row moves no row: its best stands where the row begins.
    first = np.lexsort((-values, rows))[np.flatnonzero(np.diff(rows, prepend=-1))]
    best, overlap = np.full(len(detected.images), -1), np.zeros(len(detected.images))
    best[rows[first]], overlap[rows[first]] = boxes[first], values[first]
    return best, overlap


def _pairs(detected: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (P,) of detections, ascending, and of the true boxes of the same image."""
    order = true.argsort(kind='stable')
    first = np.searchsorted(true[order], detected, side='left')
    counts = np.searchsorted(true[order], detected, side='right') - first
    rows = np.repeat(np.arange(len(detected)), counts)
    position = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    return rows, order[first[rows] + position]


def _ious(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    common = _common_areas(a, b)
    return _ratio(common, _areas(a) + _areas(b) - common)


def _shares_inside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Share of each box of ``a`` that lies in ``b``."""
    return _ratio(_common_areas(a, b), _areas(a))


def _common_areas(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _areas(np.hstack((np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:]))))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _check_iou(iou: float) -> None:
    if not 0 < iou <= 1:
        raise ValueError(f'iou is {iou}, expected a number above 0 and at most 1')
