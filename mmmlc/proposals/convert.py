"""Proposals found elsewhere: detections in COCO's JSON format, and pickles of mmdet.

K: detections of an image, of any class. A detection without a score counts as 1.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmmlc import safe_pickle
from mmmlc.datasets.coco import read_coco
from mmmlc.datasets.text_files import read_json
from mmmlc.ops.boxes import clip_boxes, to_fractions
from mmmlc.ops.checks import is_finite, is_integer

from .store import ImageProposals, encode, folder_name, image_name, write_store


class Detections(NamedTuple):
    """Of an image: name, size, boxes (K, 4) x1, y1, x2, y2 in pixels, scores (K,) or None."""

    name: str
    width: int
    height: int
    boxes: np.ndarray
    scores: np.ndarray | None


def read_pickle(path: str | Path, trust: bool = False) -> Any:
    """Read a pickle of arrays, tensors and plain containers; with ``trust``, any pickle.

    Raises:
        ValueError: not a pickle, cut short, or with other contents.
    """
    with open(path, 'rb') as file:
        try:
            return pickle.load(file) if trust else safe_pickle.load(file)
        except safe_pickle.RefusedPickleError as error:
            raise ValueError(
                f'{path}: it holds {error.name}, expected NumPy arrays, torch tensors, lists and '
                'dicts only. A pickle can run any code: convert with --trust only what you made '
                'yourself'
            ) from error
        except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError) as error:
            raise ValueError(f'{path} is not a pickle, or cut short: {error}') from error


def from_coco_json(path: str | Path, ann_file: str | Path) -> Iterator[Detections]:
    """Detections in COCO's results format, of every image of the annotation file in its order.

    Args:
        path: A list of objects with ``image_id``, ``bbox`` [x, y, width, height] in pixels and
            optionally ``score``; the class is not used.
        ann_file: COCO JSON with these images.
    """
    entries = read_json(str(path))
    if not isinstance(entries, list):
        raise ValueError(f'{path}: expected a list of detections, got {type(entries).__name__}')
    images = _images(ann_file)
    rows: dict = {image_id: [] for image_id in images}
    for number, entry in enumerate(entries):
        where = f'{path}: detection {number}'
        image_id, row = _detection(entry, where)
        if image_id not in rows:
            raise ValueError(f'{where} has image_id={image_id!r}, which is not in {ann_file}')
        rows[image_id].append(row)
    for image_id, image in images.items():
        table = np.array(rows[image_id], np.float64).reshape(-1, 5)
        table[:, 2:4] += table[:, :2]
        yield Detections(*image, table[:, :4], table[:, 4])


def _detection(entry: object, where: str) -> tuple[int | str, list[float]]:
    """Image id, and x, y, w, h and score."""
    if not isinstance(entry, dict) or not isinstance(entry.get('image_id'), (int, str)):
        raise ValueError(f'{where} is {entry!r}, expected an object with image_id and bbox')
    box, score = entry.get('bbox'), entry.get('score', 1.0)
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(map(is_finite, [*box, score]))
        or min(box[2:]) < 0
        or not 0 <= score <= 1
    ):
        raise ValueError(
            f'{where} has bbox={box!r}, score={score!r}, expected [x, y, width, height] of finite '
            'numbers, width and height at least 0, and a score in [0, 1]'
        )
    return entry['image_id'], [*box, score]


def _images(ann_file: str | Path | None) -> dict[int | str, tuple[str, int, int]]:
    """Name, width and height of each image id; empty without a file."""
    images: dict[int | str, tuple[str, int, int]] = {}
    if ann_file is None:
        return images
    for number, image in enumerate(read_coco(str(ann_file)).dataset['images']):
        size = image.get('width'), image.get('height')
        if not all(is_integer(side) and side > 0 for side in size):
            raise ValueError(
                f'{ann_file}: images[{number}] has width, height {size}, expected positive integers'
            )
        images[image['id']] = (image['file_name'], *size)
    return images


def from_mmdet(
    path: str | Path,
    img_prefix: str | Path,
    ann_file: str | Path | None = None,
    trust: bool = False,
) -> Iterator[Detections]:
    """Detections in a pickle of mmdet.

    Args:
        path: From mmdet 3 (``tools/test.py --out``, ``DumpDetResults``), a list of samples with
            ``pred_instances``; from its ``DumpProposals``, a dict by "folder/file" (``trust`` and
            ``ann_file`` are needed). From mmdet 2, a list over images of arrays (K, 5), or of lists
            of them over classes.
        img_prefix: Image folder, to which the names of the images are relative.
        ann_file: COCO JSON with the images; then samples are found by ``img_id``. mmdet 2 needs it:
            the images are those of this file, in its order.
        trust: See :func:`read_pickle`.
    """
    content = read_pickle(path, trust)
    if isinstance(content, dict):
        yield from _mmdet_proposals(content, _images(ann_file), img_prefix, str(path))
        return
    if not isinstance(content, (list, tuple)):
        raise ValueError(f'{path}: expected a list over images, got {type(content).__name__}')
    images = _images(ann_file)
    if all(isinstance(sample, dict) for sample in content):
        for number, sample in enumerate(content):
            yield _mmdet_sample(sample, images, img_prefix, f'{path}: sample {number}')
        return
    if len(images) != len(content):
        raise ValueError(
            f'{path} holds arrays of {len(content)} images without names, the annotation file '
            f'{ann_file} has {len(images)} images, expected the same number in the same order'
        )
    for number, (image, arrays) in enumerate(zip(images.values(), content, strict=True)):
        table = _table(arrays, f'{path}: image {number}')
        yield Detections(*image, table[:, :4], table[:, 4])


def _mmdet_proposals(
    content: dict, images: dict, img_prefix: str | Path, where: str
) -> Iterator[Detections]:
    """Of mmdet's ``DumpProposals``, whose keys are the last folder and the name of the file."""
    if not images:
        raise ValueError(f'{where} holds no sizes of images: give the annotation file')
    folder = folder_name(img_prefix)
    keys = ['/'.join(f'{folder}/{name}'.split('/')[-2:]) for name, _, _ in images.values()]
    if len(set(keys)) < len(keys) or set(keys) != set(content):
        odd = sorted(set(keys) ^ set(content))[:3]
        raise ValueError(f'{where} and the annotation file are not of the same images: {odd} ...')
    for key, (name, width, height) in zip(keys, images.values(), strict=True):
        boxes = np.asarray(content[key].bboxes, np.float64).reshape(-1, 4)
        scores = np.asarray(content[key].scores, np.float64)
        yield Detections(name, width, height, boxes, scores)


def _mmdet_sample(sample: dict, images: dict, img_prefix: str | Path, where: str) -> Detections:
    found = sample.get('pred_instances')
    if not isinstance(found, dict) or 'bboxes' not in found:
        raise ValueError(f'{where} has no pred_instances with bboxes, but {sorted(sample)}')
    boxes = np.asarray(found['bboxes'], np.float64).reshape(-1, 4)
    scores = None if found.get('scores') is None else np.asarray(found['scores'], np.float64)
    if images:
        if sample.get('img_id') not in images:
            raise ValueError(f'{where} has img_id={sample.get("img_id")!r}, not in the annotations')
        name, width, height = images[sample['img_id']]
        return Detections(name, width, height, boxes, scores)
    if 'img_path' not in sample or 'ori_shape' not in sample:
        raise ValueError(f'{where} has no img_path and ori_shape: give the annotation file')
    height, width = sample['ori_shape'][:2]
    return Detections(image_name(sample['img_path'], img_prefix), width, height, boxes, scores)


def _table(arrays: object, where: str) -> np.ndarray:
    """Boxes and scores (K, 5) of all classes of an image."""
    given = arrays if isinstance(arrays, (list, tuple)) else [arrays]
    parts = [np.asarray(part, np.float64) for part in given]
    shapes = [part.shape for part in parts]
    if any(part.ndim != 2 or part.shape[1] not in (4, 5) for part in parts):
        raise ValueError(f'{where} has arrays {shapes}, expected (K, 5) or (K, 4)')
    full = [np.pad(p, ((0, 0), (0, 5 - p.shape[1])), constant_values=1) for p in parts]
    return np.concatenate([np.zeros((0, 5)), *full])


def convert(
    detections: Iterator[Detections],
    out: str | Path,
    img_prefix: str | Path,
    source: str,
    max_boxes: int = 2000,
) -> tuple[int, int]:
    """Write detections to a proposals file; the numbers of images and boxes.

    Boxes are clipped to the image; those without extent in it are left out. The best ``max_boxes``
    of an image are kept.
    """
    images, blocks = [], []
    for item in detections:
        try:
            boxes, scores = _fractions(item)
            best = np.argsort(-scores, kind='stable')[:max_boxes]
            blocks.append(encode(boxes[best], scores[best]))
        except ValueError as error:
            raise ValueError(f'{source}: image {item.name!r}: {error}') from error
        images.append(ImageProposals(item.name, int(item.width), int(item.height), len(best)))
    parameters = dict(method='converted', source=source, max_boxes=max_boxes)
    write_store(out, folder_name(img_prefix), images, blocks, parameters)
    return len(images), sum(image.num_boxes for image in images)


def _fractions(item: Detections) -> tuple[np.ndarray, np.ndarray]:
    scores = np.ones(len(item.boxes)) if item.scores is None else np.asarray(item.scores)
    boxes = np.asarray(item.boxes, np.float64)
    wrong = ~np.isfinite(boxes).all(1) | (boxes[:, 2:] < boxes[:, :2]).any(1)
    if wrong.any():
        raise ValueError(
            f'box {boxes[wrong][0].tolist()}, expected finite x1 <= x2 and y1 <= y2 in pixels'
        )
    boxes = clip_boxes(to_fractions(boxes, (item.height, item.width)))
    extent = (boxes[:, 2:] > boxes[:, :2]).all(1)
    if scores.shape != extent.shape:
        raise ValueError(f'{len(boxes)} boxes, but scores {scores.shape}')
    if (wrong := ~((scores >= 0) & (scores <= 1))).any():
        raise ValueError(f'score {scores[wrong][0]}, expected a number in [0, 1]')
    return boxes[extent], scores[extent]
