"""Pascal VOC as a multi-label dataset with a choice of what "difficult" means in training.

Shapes of an image with M objects: ``boxes`` (M, 4), ``box_labels``, ``box_difficult`` and
``box_areas`` (M,).
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets import VOC as _VOC
from mmpretrain.datasets.base_dataset import expanduser

from mmmlc.ops.boxes import clip_boxes, from_voc, to_fractions
from mmmlc.ops.wording import listed
from mmmlc.registry import DATASETS

from .image_paths import ImageFolder, check_text, is_address, plain_path
from .multilabel import MultiLabelMixin
from .number_checks import LARGEST_SIDE
from .text_files import read_text, read_xml
from .vocabulary import checked_classes

_ENDINGS = ('.jpg', '.jpeg', '.jpe', '.png', '.bmp', '.tif', '.tiff', '.webp', '.gif', '.ppm')


@DATASETS.register_module()
class VOC(MultiLabelMixin, _VOC):
    """mmpretrain's ``VOC`` with boxes, a role for "difficult" and errors instead of skipped names.

    ``gt_label_difficult`` holds the classes whose every object in the image is difficult, whatever
    the role; AP leaves these pairs out. ``difficult`` decides what they are in training:

    - ``'positive'``: in ``gt_label``, as in the code of MCAR's authors;
    - ``'negative'``: not in ``gt_label``;
    - ``'ignore'``: not in ``gt_label`` but in ``gt_label_ignore``, which the loss leaves out.

    With boxes a sample also carries, one row per object, ``boxes`` (x1, y1, x2, y2 as fractions of
    the image), ``box_labels``, ``box_difficult`` and ``box_areas`` (pixels of the original image).

    Args:
        data_root: folder with ``JPEGImages``, ``Annotations`` and ``ImageSets``, e.g. ``VOC2007``.
        split: ``'train'``, ``'val'``, ``'trainval'`` or ``'test'``.
        image_set_path: list of image ids relative to ``data_root``, in place of that of ``split``.
        data_prefix: ``img_path`` and ``ann_path``.
        img_suffix: ending of the images; by default that of the file with the id in the image
            folder: ``.jpg``, or another where there is none.
        difficult: the role, see above.
        with_labels: False reads no annotations: samples have no labels and no boxes. For a split
            whose labels are hidden, as VOC 2012 test, and in test mode only. Without it every
            image needs its XML.
        **kwargs: of :class:`MultiLabelMixin` (``with_boxes``) and mmpretrain's ``BaseDataset``. If
            ``classes`` are a part of the 20 VOC names, objects of the others are left out and
            counted; other ``classes`` are the whole vocabulary.

    Raises:
        FileNotFoundError: a missing folder, list file or XML.
        ValueError: a broken list or XML, an unknown class name; names file and entry. Options that
            exclude each other.
    """

    source_key = 'split or image_set_path'

    def __init__(
        self,
        data_root: str,
        split: str = 'trainval',
        image_set_path: str = '',
        data_prefix: str | dict | None = None,
        test_mode: bool = False,
        difficult: str = 'positive',
        with_labels: bool = True,
        img_suffix: str = '',
        **kwargs: Any,
    ) -> None:
        roles, splits = ('positive', 'negative', 'ignore'), ('train', 'val', 'trainval', 'test')
        if difficult not in roles:
            raise ValueError(f'difficult={difficult!r}, expected one of {roles}')
        if split not in splits and not (image_set_path and not split):
            raise ValueError(f"split={split!r}, expected one of {splits}, or '' and image_set_path")
        if isinstance(data_prefix, str):
            data_prefix = {'img_path': expanduser(data_prefix)}
        data_prefix = dict(data_prefix or {'img_path': 'JPEGImages', 'ann_path': 'Annotations'})
        if with_labels and 'ann_path' not in data_prefix:
            raise ValueError(
                f"data_prefix={data_prefix} needs 'ann_path', the folder of the XML; "
                'with_labels=False reads a test split whose labels are hidden'
            )
        if not with_labels:
            if not test_mode or split in ('train', 'trainval'):
                raise ValueError(
                    f'with_labels=False is for testing only, got split={split!r} and '
                    f'test_mode={test_mode}'
                )
            data_prefix.pop('ann_path', None)
            kwargs['with_boxes'] = False
        self.difficult, self.img_suffix = difficult, img_suffix
        super().__init__(
            data_root=data_root,
            split=split,
            image_set_path=image_set_path,
            data_prefix=data_prefix,
            test_mode=test_mode,
            **kwargs,
        )

    @property
    def source(self) -> str:
        """The list of image ids."""
        return self.image_set_path

    def load_data_list(self) -> list[dict]:
        """Read the list and the XML files into one dict per image."""
        vocabulary = self._vocabulary()
        images = _Images(self.image_folder(), self.img_suffix)
        samples: list[dict[str, Any]] = []
        for line, img_id in _read_ids(self.source):
            path = images.path(img_id, f'{self.source}: line {line}')
            sample = {'img_path': path, 'img_id': img_id, 'entry': line}
            if self.ann_prefix is not None:
                sample |= self._annotation(img_id, line, vocabulary)
            samples.append(sample)
        left_out = sum(sample.pop('left_out', 0) for sample in samples)
        message = f'{self.source}: {len(samples):,} images, {len(self.CLASSES)} classes, '
        if self.ann_prefix is None:
            message += 'labels not read (with_labels=False)'
        else:
            pairs = sum(len(sample['gt_label_difficult']) for sample in samples)
            message += f'{pairs:,} difficult labels taken as {self.difficult!r} in training'
        message += f', {left_out:,} objects of other classes left out' if left_out else ''
        print_log(message, logger='current')
        return samples

    def _vocabulary(self) -> dict[str, int]:
        """Return the label of each class name that may occur, -1 if it is left out."""
        classes = checked_classes(self.CLASSES)
        voc = self.METAINFO['classes']
        left_out = dict.fromkeys(voc, -1) if set(classes) <= set(voc) else {}
        return left_out | {name: label for label, name in enumerate(classes)}

    def _annotation(self, img_id: str, line: int, vocabulary: dict[str, int]) -> dict:
        path = self.image_folder(self.ann_prefix).join(
            f'{img_id}.xml', f'{self.source}: line {line}'
        )
        try:
            root = read_xml(path, self.backend.get(path))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{self.source}: line {line}: no file {path}. For a test split whose labels are '
                'hidden, give with_labels=False'
            ) from error
        objects = root.findall('object')
        labels = np.array(
            [_label(o, vocabulary, f'{path}: object {i}') for i, o in enumerate(objects)],
            dtype=np.int64,
        )
        hard = np.array(
            [_flag(o, f'{path}: object {i}') for i, o in enumerate(objects)], dtype=bool
        )
        chosen = labels >= 0
        annotation = self._labels(labels[chosen], hard[chosen])
        annotation['left_out'] = int((~chosen).sum())
        if self.with_boxes:
            annotation |= _boxes(root, path, chosen)
            annotation |= {'box_labels': labels[chosen], 'box_difficult': hard[chosen]}
        return annotation

    def _labels(self, labels: np.ndarray, hard: np.ndarray) -> dict[str, Any]:
        easy = set(labels[~hard].tolist())
        difficult = sorted(set(labels[hard].tolist()) - easy)
        positive = easy.union(difficult) if self.difficult == 'positive' else easy
        fields = {'gt_label': sorted(positive), 'gt_label_difficult': difficult}
        if self.difficult == 'ignore':
            fields['gt_label_ignore'] = difficult
        return fields


class _Images:
    """Finds the file of an image id; each folder is listed once.

    Args:
        folder: of the images.
        suffix: ending of all of them; ``''`` looks for it.
    """

    def __init__(self, folder: ImageFolder, suffix: str) -> None:
        self.folder, self.suffix = folder, suffix
        self._listed: dict[str, dict[str, list[str]]] = {}

    def path(self, img_id: str, where: str) -> str:
        """The path to load; with ``.jpg`` where there is no file, which loading will say."""
        suffix = self.suffix
        path = self.folder.join(f'{img_id}{suffix or ".jpg"}', where)
        if suffix or is_address(path):
            return path
        place, name = os.path.split(path)
        if place not in self._listed:
            self._listed[place] = _endings(place)
        endings = self._listed[place].get(name.removesuffix('.jpg'), [])
        if '.jpg' in endings or not endings:
            return path
        if len(endings) > 1:
            raise ValueError(
                f'{where}: the image {img_id!r} has the files {endings} in {place}: give '
                f'img_suffix={endings[0]!r}'
            )
        return path.removesuffix('.jpg') + endings[0]


def _endings(folder: str) -> dict[str, list[str]]:
    """The endings of the images in a folder, by the name before."""
    found: dict[str, list[str]] = {}
    if not os.path.isdir(folder):
        return found
    for file in sorted(os.listdir(folder)):
        stem, ending = os.path.splitext(file)
        if ending.lower() in _ENDINGS:
            found.setdefault(stem, []).append(ending)
    return found


def _read_ids(path: str) -> Iterable[tuple[int, str]]:
    """Yield line number (from 1) and image id."""
    seen = set()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if len(words) > 1:
            raise ValueError(
                f'{path}: line {number} is {line!r}, expected one image id (lists of one class, '
                'with a second column, are not image sets)'
            )
        if not words:
            continue
        check_text(words[0], f'{path}: line {number}')
        img_id = plain_path(words[0])
        if img_id in seen:
            raise ValueError(f'{path}: line {number} repeats the image id {img_id!r}')
        seen.add(img_id)
        yield number, img_id


def _label(obj: ET.Element, vocabulary: dict[str, int], where: str) -> int:
    name = (obj.findtext('name') or '').strip()
    if name not in vocabulary:
        raise ValueError(
            f'{where} has the unknown class {name!r}, expected one of '
            f'{listed([*vocabulary], quoted=True)}'
        )
    return vocabulary[name]


def _flag(obj: ET.Element, where: str) -> bool:
    text = (obj.findtext('difficult') or '0').strip()
    if text not in ('0', '1'):
        raise ValueError(f'{where} has difficult={text!r}, expected 0 or 1')
    return text == '1'


def _boxes(root: ET.Element, path: str, chosen: np.ndarray) -> dict:
    """Return size, boxes and areas; VOC counts pixels from 1 and both ends belong to the box."""
    width, height = _numbers(root.find('size'), ('width', 'height'), f'{path}: size')
    if not 0 < min(width, height) <= max(width, height) <= LARGEST_SIDE:
        raise ValueError(
            f'{path}: size is {width} x {height}, expected positive numbers up to {LARGEST_SIDE:g}'
        )
    keys = ('xmin', 'ymin', 'xmax', 'ymax')
    rows = [
        _numbers(obj.find('bndbox'), keys, f'{path}: object {i}')
        for i, obj in enumerate(root.findall('object'))
    ]
    corners = from_voc(np.array(rows, dtype=np.float64).reshape(-1, 4))
    if len(bad := np.flatnonzero((np.abs(corners) > LARGEST_SIDE).any(axis=1))):
        raise ValueError(f'{path}: object {bad[0]} has the box {rows[bad[0]]}, beyond any image')
    extents = corners[:, 2:] - corners[:, :2]
    if len(bad := np.flatnonzero(~(extents >= 0).all(axis=1))):
        raise ValueError(f'{path}: object {bad[0]} has its box ends in the wrong order')
    fractions = clip_boxes(to_fractions(corners, (height, width)))
    return {
        'ann_shape': (height, width),
        'boxes': fractions[chosen].astype(np.float32),
        'box_areas': extents.prod(axis=1)[chosen].astype(np.float32),
    }


def _numbers(node: ET.Element | None, keys: tuple[str, ...], where: str) -> list[float]:
    texts = {key: None if node is None else node.findtext(key) for key in keys}
    try:
        values = [float(text) for text in texts.values() if text is not None]
        if len(values) < len(keys) or not np.isfinite(values).all():
            raise ValueError('missing or not finite')
        return values
    except ValueError as error:
        raise ValueError(
            f'{where} has {texts}, expected numbers; with_boxes=False does not read the boxes'
        ) from error
