"""Detection AP and CorLoc against hand-derived values, naive loops and pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmmlc.evaluation.coco_detection import coco_average_precision
from mmmlc.ops.detection import (
    Detected,
    Truth,
    average_precision,
    count_localised,
    detection_measures,
    match,
)

IMAGES = 12


def truth_of(images, boxes, difficult=(), crowd=()):
    flags = np.zeros((2, len(images)), bool)
    flags[0, list(difficult)], flags[1, list(crowd)] = True, True
    return Truth(np.array(images, int), np.array(boxes, float).reshape(-1, 4), *flags)


def detected_of(images, boxes, scores):
    return Detected(
        np.array(images, int), np.array(boxes, float).reshape(-1, 4), np.array(scores, float)
    )


def random_class(seed, crowd=0.15, difficult=0.15, grid=False):
    """True boxes, and detections around them (true, shifted, doubled) and elsewhere."""
    rng = np.random.default_rng(seed)
    images = np.sort(rng.integers(0, IMAGES, 40))
    corners = rng.integers(0, 60, (40, 2)).astype(float)
    sides = rng.integers(10, 40, (40, 2)).astype(float)
    if grid:  # true boxes of an image are apart
        corners = 50.0 * np.stack((np.arange(40) % 7, np.arange(40) // 7), axis=1)
    boxes = np.hstack((corners, corners + sides))
    kinds = rng.random(40)
    truth = Truth(images, boxes, kinds < difficult, kinds > 1 - crowd)
    chosen = rng.integers(0, 40, 150)
    moved = boxes[chosen] + rng.normal(0, 4, (150, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    where = np.where(rng.random(150) < 0.9, images[chosen], rng.integers(0, IMAGES, 150))
    return Detected(where, moved, rng.permutation(150) / 150), truth


def shuffled(rows, seed):
    order = np.random.default_rng(seed).permutation(len(rows.images))
    return type(rows)(*(field[order] for field in rows))


# --- naive loops ----------------------------------------------------------------------------------


def naive_common(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def naive_area(a):
    return (a[2] - a[0]) * (a[3] - a[1])


def naive_iou(a, b):
    common = naive_common(a, b)
    return common / (naive_area(a) + naive_area(b) - common)


def naive_match(detected, truth, iou):
    outcomes, taken = [None] * len(detected.scores), set()
    for d in sorted(range(len(outcomes)), key=lambda d: -detected.scores[d]):
        best, best_iou, in_crowd = None, iou, False
        for t in range(len(truth.images)):
            if truth.images[t] != detected.images[d]:
                continue
            if truth.crowd[t]:
                share = naive_common(detected.boxes[d], truth.boxes[t])
                in_crowd |= share / naive_area(detected.boxes[d]) >= iou
                continue
            overlap = naive_iou(detected.boxes[d], truth.boxes[t])
            if overlap >= best_iou and (best is None or overlap > best_iou):
                best, best_iou = t, overlap
        if best is not None and truth.difficult[best]:
            outcomes[d] = -1
        elif best is not None and best not in taken:
            outcomes[d] = 1
            taken.add(best)
        else:
            outcomes[d] = -1 if in_crowd else 0
    return outcomes


def naive_points(scores, outcomes):
    """(precision, found) after each detection that counts; no equal scores."""
    points, found, counted = [], 0, 0
    for d in sorted(range(len(scores)), key=lambda d: -scores[d]):
        if outcomes[d] >= 0:
            counted, found = counted + 1, found + outcomes[d]
            points.append((found / counted, found))
    return points


def naive_area_ap(points, positives):
    best = [max([p for p, found in points if found >= n], default=0) for n in range(1, 41)]
    return sum(best[:positives]) / positives


def naive_11point_ap(points, positives):
    best = [max([p for p, f in points if 10 * f >= t * positives], default=0) for t in range(11)]
    return sum(best) / 11


def naive_corloc(detected, truth, iou):
    localised = counted = 0
    for image in range(IMAGES):
        boxes = [t for t in range(len(truth.images)) if truth.images[t] == image]
        if all(truth.difficult[t] or truth.crowd[t] for t in boxes):
            continue
        counted += 1
        found = [d for d in range(len(detected.images)) if detected.images[d] == image]
        if found:
            best = detected.boxes[max(found, key=lambda d: detected.scores[d])]
            boxes = [truth.boxes[t] for t in boxes if not truth.crowd[t]]
            localised += any(naive_iou(best, box) >= iou for box in boxes)
    return localised, counted


@pytest.mark.parametrize('iou', [0.3, 0.5, 0.7])
@pytest.mark.parametrize('seed', range(4))
def test_naive_loops_agree(seed, iou):
    detected, truth = random_class(seed)
    outcomes = match(detected, truth, iou)
    assert outcomes.tolist() == naive_match(detected, truth, iou)
    assert set(outcomes.tolist()) == {-1, 0, 1}
    positives = int((~(truth.difficult | truth.crowd)).sum())
    points = naive_points(detected.scores, outcomes.tolist())
    area = average_precision(detected.scores, outcomes, positives)
    assert 0 < area < 1
    assert area == pytest.approx(naive_area_ap(points, positives), abs=1e-12)
    assert average_precision(detected.scores, outcomes, positives, '11point') == pytest.approx(
        naive_11point_ap(points, positives), abs=1e-12
    )
    localised, counted = count_localised(detected, truth, iou)
    assert (localised, counted) == naive_corloc(detected, truth, iou)
    assert 0 < localised < counted


# --- by hand --------------------------------------------------------------------------------------


def test_average_precision_by_hand():
    # Best first: true, false, left out, true, false; 3 boxes. Precision 1, 1/2, 2/3, 1/2.
    scores, outcomes = np.array([0.5, 0.9, 0.8, 0.6, 0.7]), np.array([0, 1, 0, 1, -1])
    # Recall 1/3 at precision 1, 2/3 at 2/3, the last box is not found.
    assert average_precision(scores, outcomes, 3) == pytest.approx((1 + 2 / 3) / 3)
    # Recall 0 to 0.3 (4 points) at precision 1, 0.4 to 0.6 (3 points) at 2/3, then 0.
    assert average_precision(scores, outcomes, 3, '11point') == pytest.approx((4 + 3 * 2 / 3) / 11)


def test_best_precision_at_a_higher_recall_counts():
    # false, true, true; 2 boxes. Precision 0, 1/2, 2/3: 2/3 counts at both recalls.
    scores, outcomes = np.array([0.9, 0.8, 0.7]), np.array([0, 1, 1])
    for how in ('area', '11point'):
        assert average_precision(scores, outcomes, 2, how) == pytest.approx(2 / 3)


def test_recall_of_the_eleven_points_is_exact():
    # 3 of 10 boxes: recall 0.3 is reached, though 0.1 * 3 > 0.3 in floats. 4 of 11 points.
    scores = np.array([0.9, 0.8, 0.7])
    assert average_precision(scores, np.ones(3, int), 10, '11point') == pytest.approx(4 / 11)


def test_equal_scores_are_one_decision():
    # One true, one false at 0.9, one true at 0.5; 2 boxes: precision 1/2 then 2/3, so 2/3.
    scores = np.array([0.9, 0.9, 0.5])
    for outcomes in ([1, 0, 1], [0, 1, 1]):
        assert average_precision(scores, np.array(outcomes), 2) == pytest.approx(2 / 3)


def test_without_boxes_or_detections():
    nothing = detected_of([], [], [])
    truth = truth_of([0], [[0, 0, 10, 10]])
    assert match(nothing, truth).tolist() == []
    assert average_precision(nothing.scores, match(nothing, truth), 1) == 0
    assert average_precision(nothing.scores, match(nothing, truth), 1, '11point') == 0
    assert count_localised(nothing, truth) == (0, 1)
    some, no_truth = detected_of([0], [[0, 0, 9, 9]], [0.5]), truth_of([], [])
    assert match(some, no_truth).tolist() == [0]
    assert np.isnan(average_precision(some.scores, np.array([0]), 0))
    assert count_localised(some, no_truth) == (0, 0)


SQUARE, HALF, LESS = [0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4]


@pytest.mark.parametrize(
    'detections, truth, expected',
    [
        # An IoU of exactly a half is enough, 0.4 is not.
        ([(HALF, 0.9)], truth_of([0], [SQUARE]), [1]),
        ([(LESS, 0.9)], truth_of([0], [SQUARE]), [0]),
        # Of two detections of a box the better one is true, whatever its IoU.
        ([(SQUARE, 0.4), (HALF, 0.9)], truth_of([0], [SQUARE]), [0, 1]),
        # The right box in another image.
        ([(SQUARE, 0.9)], truth_of([1], [SQUARE]), [0]),
        # Both belong to the square, their best box, so the other box (IoU 0.8) is not found.
        (
            [(SQUARE, 0.9), ([0, 0, 10, 9.5], 0.8)],
            truth_of([0, 0], [SQUARE, [0, 0, 10, 8]]),
            [1, 0],
        ),
        # A difficult box: all its detections are left out.
        ([(SQUARE, 0.9), (HALF, 0.8)], truth_of([0], [SQUARE], difficult=[0]), [-1, -1]),
        # The true box is the better one of the first detection, the difficult one of the second.
        (
            [(SQUARE, 0.9), (HALF, 0.8)],
            truth_of([0, 0], [HALF, SQUARE], difficult=[0]),
            [1, -1],
        ),
        # In a crowd: half inside is left out, a third is not; a true one stays true.
        (
            [([0, 0, 2, 2], 0.9), ([8, 0, 12, 2], 0.8), ([8, 0, 14, 2], 0.7), (HALF, 0.6)],
            truth_of([0, 0], [SQUARE, HALF], crowd=[0]),
            [-1, -1, 0, 1],
        ),
        # A duplicate in a crowd is left out, too.
        ([(HALF, 0.9), (HALF, 0.8)], truth_of([0, 0], [SQUARE, HALF], crowd=[0]), [1, -1]),
        # Boxes without extent match nothing.
        ([([3, 3, 3, 3], 0.9)], truth_of([0], [[3, 3, 3, 3]]), [0]),
    ],
)
def test_match_by_hand(detections, truth, expected):
    boxes, scores = zip(*detections, strict=True)
    detected = detected_of([0] * len(boxes), boxes, scores)
    assert match(detected, truth).tolist() == expected


def test_corloc_by_hand():
    truth = truth_of(
        [0, 1, 2, 3, 3, 4, 5],
        [SQUARE] * 3 + [SQUARE, [20, 0, 30, 10]] + [SQUARE, SQUARE],
        difficult=[3, 5],
        crowd=[6],
    )
    detected = detected_of(
        [0, 0, 1, 1, 3, 4, 5, 6],
        [HALF, LESS, SQUARE, LESS, SQUARE, SQUARE, SQUARE, SQUARE],
        [0.9, 0.8, 0.3, 0.4, 0.1, 0.9, 0.9, 0.9],
    )
    # Image 0: the better detection has 0.5. 1: the better one has 0.4. 2: no detection. 3: the
    # difficult box is found, another one makes it count. 4 (difficult), 5 (crowd), 6 do not count.
    assert count_localised(detected, truth) == (2, 4)


def test_classes_are_apart():
    detected = detected_of([0, 0, 1], [SQUARE, SQUARE, SQUARE], [0.9, 0.8, 0.7])
    truth = truth_of([0, 1], [SQUARE, SQUARE])
    # Class 0: found. Class 1: not found by class 2, which has no box.
    result = detection_measures(
        detected, np.array([2, 0, 2]), truth, np.array([0, 1]), num_classes=3
    )
    np.testing.assert_array_equal(result.ap, [1, 0, np.nan])
    np.testing.assert_array_equal(result.ap_11point, [1, 0, np.nan])
    np.testing.assert_array_equal(result.corloc, [1, 0, np.nan])
    assert result.boxes.tolist() == result.images.tolist() == [1, 1, 0]


# --- properties -----------------------------------------------------------------------------------


def test_order_plays_no_part_even_with_equal_scores():
    detected, truth = random_class(7)
    detected = detected._replace(scores=np.round(detected.scores, 1))
    expected = None
    for seed in range(5):
        rows, boxes = shuffled(detected, seed), shuffled(truth, seed + 9)
        outcomes = match(rows, boxes)
        values = [average_precision(rows.scores, outcomes, 20, how) for how in ('area', '11point')]
        expected = expected or values
        assert values == pytest.approx(expected, abs=1e-12)


def test_units_play_no_part():
    # An image resized in both directions by other factors keeps its IoUs.
    detected, truth = random_class(3)
    factors = np.array([3.0, 0.5, 3.0, 0.5])
    scaled = detected._replace(boxes=detected.boxes * factors)
    outcomes = match(scaled, truth._replace(boxes=truth.boxes * factors))
    np.testing.assert_array_equal(outcomes, match(detected, truth))


@pytest.mark.parametrize('iou', [0, -0.5, 1.5, float('nan')])
def test_wrong_iou(iou):
    detected, truth = random_class(0)
    for function in (match, count_localised):
        with pytest.raises(ValueError, match=f'iou is {iou}, expected a number above 0'):
            function(detected, truth, iou)


def test_wrong_interpolation():
    with pytest.raises(ValueError, match="interpolation is 'area11', expected one of 'area'"):
        average_precision(np.ones(1), np.ones(1, int), 1, 'area11')


# --- pycocotools ----------------------------------------------------------------------------------


def coco_of(rows, **fields):
    coco = COCO()
    coco.dataset = dict(images=[dict(id=i) for i in range(IMAGES)], categories=[dict(id=1)])
    coco.dataset['annotations'] = [
        dict(
            id=i + 1,
            image_id=int(image),
            category_id=1,
            bbox=[x1, y1, x2 - x1, y2 - y1],
            area=100,
            **{name: values[i].item() for name, values in fields.items()},
        )
        for i, (image, (x1, y1, x2, y2)) in enumerate(zip(rows.images, rows.boxes, strict=True))
    ]
    coco.createIndex()
    return coco


def evaluate_by_coco(detected, truth, recalls):
    """Matches (D,) at IoU 0.5 like ours, and the mean best precision at the recalls."""
    with contextlib.redirect_stdout(io.StringIO()):
        found = coco_of(detected, score=detected.scores)
        evaluation = COCOeval(coco_of(truth, iscrowd=truth.crowd.astype(int)), found, 'bbox')
        evaluation.params.iouThrs, evaluation.params.recThrs = np.array([0.5]), recalls
        evaluation.params.maxDets, evaluation.params.areaRng = [1000], [[0, 1e10]]
        evaluation.evaluate()
        evaluation.accumulate()
    outcomes = np.zeros(len(detected.images), int)
    for image in filter(None, evaluation.evalImgs):
        rows = np.array(image['dtIds'], int) - 1
        outcomes[rows] = np.where(image['dtIgnore'][0], -1, image['dtMatches'][0] > 0)
    return outcomes, evaluation.eval['precision'].mean()


@pytest.mark.parametrize('seed', range(4))
def test_pycocotools_agrees_where_boxes_are_apart(seed):
    # COCO gives a detection whose best box is taken the second best: the same without overlaps.
    detected, truth = random_class(seed, difficult=0, grid=True)
    outcomes, positives = match(detected, truth), int((~truth.crowd).sum())
    # Between two recalls that occur, the precision is that of the higher one: exactly the area.
    between = (np.arange(positives) + 0.5) / positives
    theirs, area = evaluate_by_coco(detected, truth, between)
    np.testing.assert_array_equal(outcomes, theirs)
    assert set(outcomes.tolist()) == {-1, 0, 1}
    assert average_precision(detected.scores, outcomes, positives) == pytest.approx(area)
    # A little less than 0, 0.1, ...: they compare with recalls in floats.
    _, points = evaluate_by_coco(detected, truth, np.arange(11) / 10 - 1e-9)
    ours = average_precision(detected.scores, outcomes, positives, '11point')
    assert ours == pytest.approx(points)
    # COCO's 101 points come near the area.
    labels = np.zeros(len(outcomes), int), np.zeros(len(truth.images), int)
    ap = coco_average_precision(detected, labels[0], truth, labels[1], 1)
    assert ap.shape == (10, 1)
    assert ap[0, 0] == pytest.approx(area, abs=0.01)
    assert ap[0, 0] > ap[9, 0]
