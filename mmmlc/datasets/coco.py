"""COCO as a multi-label dataset.

Shapes of an image with M annotations: ``boxes`` (M, 4), ``box_labels``, ``box_crowd`` and
``box_areas`` (M,).
"""

from __future__ import annotations

import contextlib
import gc
import io
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets.base_dataset import BaseDataset
from pycocotools.coco import COCO

from mmmlc.datasets import number_checks
from mmmlc.ops.boxes import clip_boxes, from_xywh, to_fractions
from mmmlc.ops.checks import is_finite
from mmmlc.ops.wording import listed
from mmmlc.registry import DATASETS

from .multilabel import MultiLabelMixin
from .text_files import read_json
from .vocabulary import check_vocabulary, checked_classes

_ID = (int, str)


@DATASETS.register_module()
class CocoMultiLabel(MultiLabelMixin, BaseDataset):
    """Labels and boxes of an ``instances_*.json`` (COCO 2014, 2017, or your data in its format).

    A class is positive if the image has any annotation of it, crowds included. A sample carries
    ``img_path``, ``img_id``, ``gt_label`` and, with boxes, one row per annotation of ``boxes``
    (x1, y1, x2, y2 as fractions of the image, clipped to it), ``box_labels``, ``box_crowd`` and
    ``box_areas`` (the annotation's ``area`` in pixels of the original image). A box without extent
    is kept, so that ``box_labels`` and ``gt_label`` always agree; the log says how many there are.

    The vocabulary is that of the JSON, or ``classes`` (or ``metainfo['classes']``) in the order
    given; annotations of other classes of the JSON are then left out. That of the JSON is
    questioned: ``Cat`` beside ``cat`` or ``nan`` are errors, unless ``classes`` says so.

    Args:
        ann_file: the JSON, relative to ``data_root``.
        class_order: ``'category'``, by category id as is usual; ``'name'``, alphabetical, as in
            the checkpoints of MCAR's authors.
        same_names: several categories of one name are an ``'error'``, or ``'merge'`` takes them for
            one class; the first id gives its place in the order.
        keep_unlabelled: also give images without any annotation. The literature leaves them out:
            82,081 of 82,783 images remain in COCO 2014 train, 40,137 of 40,504 in val.
        **kwargs: of :class:`MultiLabelMixin` (``with_boxes``) and mmpretrain's ``BaseDataset``
            (``data_root``, ``data_prefix``, ``pipeline``, ``test_mode``, ``classes`` ...).

    Raises:
        FileNotFoundError: no such JSON or image folder.
        ValueError: the JSON is broken or inconsistent; names file and entry.
    """

    def __init__(
        self,
        ann_file: str,
        *args: Any,
        class_order: str = 'category',
        keep_unlabelled: bool = False,
        same_names: str = 'error',
        **kwargs: Any,
    ) -> None:
        if class_order not in ('category', 'name'):
            raise ValueError(f"class_order={class_order!r}, expected 'category' or 'name'")
        if same_names not in ('error', 'merge'):
            raise ValueError(f"same_names={same_names!r}, expected 'error' or 'merge'")
        self.class_order, self.same_names = class_order, same_names
        self.keep_unlabelled = keep_unlabelled
        super().__init__(ann_file, *args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the JSON into one dict per image."""
        with paused_gc():
            return self._load()

    def _load(self) -> list[dict]:
        coco = read_coco(self.ann_file)
        images = coco.dataset['images']
        label_of = self._label_of_category(coco)
        groups = [coco.imgToAnns.get(image['id'], ()) for image in images]
        rows = np.repeat(np.arange(len(images)), [len(group) for group in groups])
        anns = list(chain.from_iterable(groups))
        labels = np.array([label_of[ann['category_id']] for ann in anns], dtype=np.int64)
        columns = {'box_labels': labels}
        if self.with_boxes:
            number_checks.check_areas(self.ann_file, anns)
            columns |= _box_columns(self.ann_file, coco, anns, rows)

        chosen = labels >= 0
        columns = {key: column[chosen] for key, column in columns.items()}
        counts = np.bincount(rows[chosen], minlength=len(images))
        self._log_counts(counts, columns, len(anns))
        return self._samples(images, counts, columns)

    def _label_of_category(self, coco: COCO) -> dict[int | str, int]:
        """Set the vocabulary; return the label of each category id, -1 if it is left out."""
        names = {i: coco.cats[i]['name'] for i in sorted(coco.cats)}
        given = self._metainfo.get('classes')
        if given is not None and self.class_order != 'category':
            raise ValueError(f'class_order={self.class_order!r} and classes=... exclude each other')
        known = list(names.values())
        classes = list(dict.fromkeys(known)) if given is None else checked_classes(given)
        if missing := sorted(set(classes) - set(known)):
            raise ValueError(
                f'{self.ann_file} has no category {listed(missing, quoted=True)}, '
                'asked for in classes'
            )
        twice = [name for name, n in Counter(known).items() if n > 1 and name in set(classes)]
        if twice and self.same_names == 'error':
            raise ValueError(
                f'{self.ann_file}: categories hold {listed(twice, quoted=True)} more than once, as '
                "tools do that make a category of a group: same_names='merge' takes those of one "
                'name for one class, classes=[...] without the name leaves it out'
            )
        if given is None:
            self._question(coco, classes)
        classes = sorted(classes) if self.class_order == 'name' else classes
        self._metainfo['classes'] = tuple(classes)
        index = {name: label for label, name in enumerate(classes)}
        return {i: index.get(name, -1) for i, name in names.items()}

    def _question(self, coco: COCO, names: list[str]) -> None:
        places = {c['name']: number for number, c in enumerate(coco.dataset['categories'])}
        check_vocabulary(
            names,
            lambda name: f'{self.ann_file}: categories[{places[name]}]',
            lambda _: 'Mend the file, or say with classes=[...] which classes there are',
        )

    def _log_counts(self, counts: np.ndarray, columns: dict, num_anns: int) -> None:
        labelled, total, rows = int((counts > 0).sum()), len(counts), int(counts.sum())
        fate = 'kept' if self.keep_unlabelled else 'dropped'
        message = (
            f'{self.ann_file}: {total:,} images, {labelled:,} with labels, {total - labelled:,} '
            f'without any annotation {fate}; {rows:,} annotations of {len(self.CLASSES)} classes'
        )
        if rows < num_anns:
            message += f', {num_anns - rows:,} of other classes left out'
        if self.with_boxes:
            x1, y1, x2, y2 = columns['boxes'].T
            flat = int(((x2 <= x1) | (y2 <= y1)).sum())
            message += f', {flat:,} boxes without extent' if flat else ''
        print_log(message, logger='current')

    def _samples(self, images: list[dict], counts: np.ndarray, columns: dict) -> list[dict]:
        labels = columns['box_labels'].tolist()
        ends = np.cumsum(counts)
        folder, samples = self.image_folder(), []
        for entry, (image, start, end) in enumerate(zip(images, ends - counts, ends, strict=True)):
            if start == end and not self.keep_unlabelled:
                continue
            sample = {
                'img_path': folder.join(image['file_name'], f'{self.ann_file}: images[{entry}]'),
                'img_id': image['id'],
                'gt_label': sorted(set(labels[start:end])),
                'entry': entry,
            }
            if self.with_boxes:
                sample['ann_shape'] = (image['height'], image['width'])
                sample |= {key: column[start:end] for key, column in columns.items()}
            samples.append(sample)
        self._warn_of_repeats(samples)
        return samples


@contextlib.contextmanager
def paused_gc() -> Iterator[None]:
    """Pause Python's cycle collector: it doubles the time to build millions of small objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_coco(ann_file: str) -> COCO:
    """Read a COCO JSON and check the references in it.

    Raises:
        ValueError: not JSON, another structure, an entry without its keys, a repeated id, or an
            annotation of an unknown image or category; names file and entry.
    """
    dataset = read_json(ann_file)
    for section in ('images', 'annotations', 'categories'):
        entries = dataset.get(section) if isinstance(dataset, dict) else None
        if not isinstance(entries, list):
            raise ValueError(f'{ann_file} is not in COCO format: no list {section!r} at top level')
    _column(ann_file, dataset, 'annotations', 'id', _ID)
    _column(ann_file, dataset, 'images', 'file_name', (str,))
    _column(ann_file, dataset, 'categories', 'name', (str,))
    for section, key in (('images', 'image_id'), ('categories', 'category_id')):
        ids = _column(ann_file, dataset, section, 'id', _ID)
        if len(known := set(ids)) < len(ids):
            raise ValueError(f'{ann_file}: {section} repeat id {Counter(ids).most_common(1)[0][0]}')
        for entry, value in enumerate(_column(ann_file, dataset, 'annotations', key, _ID)):
            if value not in known:
                where = f'{ann_file}: annotations[{entry}]'
                raise ValueError(f'{where} has {key}={value!r}, which is not in {section}')
    coco = COCO()
    coco.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _column(ann_file: str, dataset: dict, section: str, key: str, types: tuple) -> list:
    """Return one key of all entries of a section, each of one of the types."""
    try:
        values = [entry[key] for entry in dataset[section]]
    except (KeyError, TypeError):
        values = [e.get(key) if isinstance(e, dict) else None for e in dataset[section]]
    numbers = float in types
    if not set(map(type, values)) <= set(types) or numbers and not all(map(is_finite, values)):
        good = (type(v) in types and not (numbers and not is_finite(v)) for v in values)
        number = list(good).index(False)
        names = 'a finite number' if numbers else ' or '.join(t.__name__ for t in types)
        where = f'{ann_file}: {section}[{number}]'
        raise ValueError(f'{where} has {key}={values[number]!r}, expected {names}')
    return values


def _box_columns(ann_file: str, coco: COCO, anns: list[dict], rows: np.ndarray) -> dict:
    """Return ``boxes``, ``box_crowd`` and ``box_areas`` of all annotations; rows: their images."""
    columns = [
        _column(ann_file, coco.dataset, 'images', k, (int, float)) for k in ('height', 'width')
    ]
    sizes = np.array(columns, dtype=np.float64).T
    if len(bad := np.flatnonzero(~((sizes > 0) & np.isfinite(sizes)).all(1))):
        raise ValueError(
            f'{ann_file}: images[{bad[0]}] has width, height {sizes[bad[0], ::-1].tolist()}, '
            'expected positive numbers'
        )
    xywh = _xywh(ann_file, anns)
    boxes = clip_boxes(to_fractions(from_xywh(xywh), sizes[rows]))
    given = _areas(ann_file, anns)
    crowd = [ann.get('iscrowd', 0) for ann in anns]
    for ann, value in zip(anns, crowd, strict=True):
        if type(value) not in (int, float, bool) or value not in (0, 1):
            where = f'{ann_file}: annotation id {ann["id"]}'
            raise ValueError(f'{where} has iscrowd={value!r}, expected 0 or 1')
    return {
        'boxes': boxes.astype(np.float32),
        'box_crowd': np.array(crowd, dtype=bool),
        'box_areas': np.where(np.isnan(given), xywh[:, 2] * xywh[:, 3], given).astype(np.float32),
    }


def _areas(ann_file: str, anns: list[dict]) -> np.ndarray:
    """Return the ``area`` of all annotations, (M,), nan where there is none."""
    values = [ann.get('area') for ann in anns]
    if not set(map(type, values)) <= {int, float, type(None)}:
        good = np.array([type(value) in (int, float, type(None)) for value in values])
    else:
        areas = np.array(values, dtype=np.float64)
        good = np.isnan(areas) | (np.isfinite(areas) & (areas >= 0))
    if not good.all():
        ann = anns[int(np.argmin(good))]
        where = f'{ann_file}: annotation id {ann["id"]}'
        raise ValueError(f'{where} has area={ann["area"]!r}, expected a number from 0')
    return areas


def _xywh(ann_file: str, anns: list[dict]) -> np.ndarray:
    """Return the ``bbox`` of all annotations, (M, 4), checked."""
    values = [ann.get('bbox') for ann in anns]
    try:
        xywh = np.array(values, dtype=np.float64).reshape(len(anns), 4)
        good = (np.abs(xywh) <= number_checks.LARGEST_SIDE).all(1) & (xywh[:, 2:] >= 0).all(1)
    except (TypeError, ValueError, OverflowError):
        good = np.array([_is_box(value) for value in values])
    if not good.all():
        ann = anns[int(np.argmin(good))]
        raise ValueError(
            f'{ann_file}: annotation id {ann["id"]} has bbox={ann.get("bbox")!r}, expected '
            '[x, y, width, height] in pixels; with_boxes=False does not read the boxes'
        )
    return xywh


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(is_finite, value))
