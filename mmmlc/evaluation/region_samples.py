"""Regions and true boxes of data samples as arrays, checked.

D: regions of an image, or of all; M: true boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mmmlc.aliases import new_fields
from mmmlc.ops.boxes import flip_boxes, flip_direction, to_pixels
from mmmlc.ops.detection import Detected, Truth


class ImageRegions(NamedTuple):
    """Regions and true boxes of an image, in the same coordinate system."""

    size: tuple[int, int]  # height and width in the pixels of the regions
    regions: np.ndarray  # (D, 4) pixels
    labels: np.ndarray  # (D,)
    scores: np.ndarray  # (D,)
    boxes: np.ndarray  # (M, 4) fractions of the size
    box_labels: np.ndarray  # (M,)
    difficult: np.ndarray  # (M,) bool
    crowd: np.ndarray  # (M,) bool


def join_images(results: list[tuple]) -> tuple[Detected, np.ndarray, Truth, np.ndarray]:
    """All images one after the other: regions, their classes (D,), true boxes, theirs (M,).

    Args:
        results: The fields of :class:`ImageRegions` for each image.
    """
    sizes, *columns = zip(*results, strict=True)
    regions, labels, scores, boxes, box_labels, difficult, crowd = map(np.concatenate, columns)
    of_regions, of_boxes = (
        np.repeat(np.arange(len(results)), [len(x) for x in per_image])
        for per_image in (columns[1], columns[4])
    )
    # The rounding takes back what fractions in 32 bits lost: an IoU of exactly 0.5 stays that.
    boxes = to_pixels(boxes.astype(np.float64), np.array(sizes)[of_boxes]).round(3)
    detected = Detected(of_regions, regions.astype(np.float64), scores)
    return detected, labels, Truth(of_boxes, boxes, difficult, crowd), box_labels


def read_sample(sample: dict, num_classes: int | None) -> ImageRegions:
    """Regions and true boxes of a sample, see :class:`mmmlc.evaluation.WeakDetectionMetric`.

    Args:
        sample: A data sample as a dict, as mmengine's evaluator gives it.
        num_classes: C, if known.

    Raises:
        ValueError: for a wrong or missing field, naming field and image.
    """
    sample = new_fields(sample)
    _require(sample, ('pred_instances',), 'a model that finds regions (mmmlc.WSDDN)')
    found = sample['pred_instances']
    original = 'bboxes' in found and 'ori_shape' in sample
    key, shape = ('bboxes', 'ori_shape') if original else ('input_bboxes', 'img_shape')
    _require(sample, (shape,), 'a model that finds regions (mmmlc.WSDDN)')
    for name in (key, 'labels'):
        _require_part(sample, found, name)
    _require(
        sample,
        ('boxes', 'box_labels'),
        'boxes to compare with: a data set that has them (mmmlc.CocoMultiLabel, mmmlc.VOC) with '
        'with_boxes=True, and mmmlc.PackInputs in its pipeline',
    )
    labels = _labels(sample, 'pred_instances.labels', found['labels'], num_classes)
    box_labels = _labels(sample, 'box_labels', sample['box_labels'], num_classes)
    boxes = _floats(sample, 'boxes', sample['boxes'], (len(box_labels), 4))
    flags = (
        _floats(sample, name, sample.get(name, np.zeros(len(boxes))), box_labels.shape).astype(bool)
        for name in ('box_difficult', 'box_crowd')
    )
    return ImageRegions(
        tuple(sample[shape][:2]),
        _floats(sample, f'pred_instances.{key}', found[key], (len(labels), 4)),
        labels,
        _scores(sample, found, labels),
        flip_boxes(boxes, flip_direction(sample)) if original else boxes,
        box_labels,
        *flags,
    )


def _scores(sample: dict, found: dict, labels: np.ndarray) -> np.ndarray:
    name = 'pred_instances.scores'
    if 'scores' in found:
        return _floats(sample, name, found['scores'], labels.shape)
    _require(sample, ('pred_score',), f"'{name}', or the score of each class in its place")
    scores = _array(sample['pred_score'])
    if labels.max(initial=-1) >= len(scores):
        raise ValueError(
            f"{_name(sample)} has {len(scores)} values in 'pred_score', but class {labels.max()} "
            "in 'pred_instances.labels'"
        )
    return _floats(sample, 'pred_score', scores[labels], labels.shape)


def _require(sample: dict, keys: Sequence[str], what: str) -> None:
    if missing := [repr(key) for key in keys if key not in sample]:
        raise ValueError(
            f'{_name(sample)} has no {", ".join(missing)}: WeakDetectionMetric needs {what}; it '
            f'has {sorted(sample)}'
        )


def _require_part(sample: dict, found: dict, name: str) -> None:
    if name not in found:
        raise ValueError(
            f'{_name(sample)} has no {name!r} in pred_instances, which WeakDetectionMetric needs; '
            f'it has {sorted(found)}'
        )


def _labels(sample: dict, field: str, values: object, num_classes: int | None) -> np.ndarray:
    labels = _array(values).astype(np.int64)
    wrong = labels[(labels < 0) | (labels >= (np.inf if num_classes is None else num_classes))]
    if labels.ndim != 1 or wrong.size:
        most = '' if num_classes is None else f' to {num_classes - 1}'
        raise ValueError(
            f'{field!r} of {_name(sample)} is {labels.tolist()}, expected a list of classes from 0'
            f'{most}'
        )
    return labels


def _floats(sample: dict, field: str, values: object, shape: tuple[int, ...]) -> np.ndarray:
    values = _array(values)
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(
            f'{field!r} of {_name(sample)} has shape {values.shape}, expected finite numbers of '
            f'shape {shape}, as many as labels'
        )
    return values


def _array(values: object) -> np.ndarray:
    values = torch.as_tensor(values).detach().cpu()
    if values.is_floating_point():  # NumPy has no bfloat16
        values = values.to(torch.promote_types(values.dtype, torch.float32))
    return values.numpy()


def _name(sample: dict) -> str:
    return str(sample.get('img_path', sample.get('img_id', 'a sample')))
