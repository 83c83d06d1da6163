"""Average precision of detections as COCO defines it, computed by pycocotools.

C classes, T = 10 IoU thresholds 0.5, 0.55, ..., 0.95.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmmlc.ops.detection import Detected, Truth


def coco_average_precision(
    detected: Detected,
    detected_labels: np.ndarray,
    truth: Truth,
    true_labels: np.ndarray,
    num_classes: int,
) -> np.ndarray:
    """AP (T, C) in [0, 1] of COCO's evaluation, NaN for a class without a box that counts.

    At most 100 detections per image and class. A difficult box is a crowd here, as in mmdet's
    conversion: pycocotools knows no other kind of box that is left out.

    Args:
        detected: Detections of all classes, in pixels.
        detected_labels: Their classes (D,).
        truth: True boxes of all classes, in pixels.
        true_labels: Their classes (M,).
        num_classes: C.
    """
    crowd = truth.difficult | truth.crowd
    images = np.union1d(detected.images, truth.images)
    true = _annotations(truth.images, truth.boxes, true_labels, iscrowd=crowd.astype(int))
    found = _annotations(detected.images, detected.boxes, detected_labels, score=detected.scores)
    # pycocotools reports its progress by print.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            _coco(true, images, num_classes), _coco(found, images, num_classes), 'bbox'
        )
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ['all']
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval['precision'][..., 0, 0]  # (T, recalls, C), -1 without boxes
    return np.where(precision >= 0, precision, np.nan).mean(1)


def _coco(annotations: list[dict], images: np.ndarray, num_classes: int) -> COCO:
    coco = COCO()
    coco.dataset = dict(
        images=[dict(id=image) for image in images.tolist()],
        annotations=annotations,
        categories=[dict(id=label) for label in range(num_classes)],
    )
    coco.createIndex()
    return coco


def _annotations(
    images: np.ndarray, boxes: np.ndarray, labels: np.ndarray, **fields: np.ndarray
) -> list[dict]:
    xywh = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
    columns = dict(
        # 0 means "not matched" to pycocotools, so ids begin at 1.
        id=np.arange(1, len(boxes) + 1),
        image_id=images,
        category_id=labels,
        bbox=xywh,
        area=xywh[:, 2:].prod(1),
        **fields,
    )
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]
