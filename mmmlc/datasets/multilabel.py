"""What our multi-label datasets share: checked labels, checked boxes, broken images replaced."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.fileio import LocalBackend, get_file_backend
from mmpretrain.datasets import MultiLabelDataset as _MultiLabelDataset
from mmpretrain.datasets.base_dataset import expanduser

from mmmlc.neutral import safe_line
from mmmlc.registry import DATASETS

from .box_checks import check_boxes_follow
from .image_paths import OUTSIDE, ImageFolder, repeated_paths
from .label_files import read_class_names
from .openmmlab_files import read_openmmlab
from .transforms import BrokenImageError, warn
from .vocabulary import check_vocabulary, checked_classes, warn_once

if TYPE_CHECKING:
    from mmpretrain.datasets import BaseDataset as _Host  # what the mixin is mixed into
else:
    _Host = object


class MultiLabelMixin(_Host):
    """Goes before an mmpretrain dataset; adds the checks, and replaces broken images in training.

    - ``gt_label`` is sorted and unique (mmpretrain's one-hot counts a repeated label twice); a
      label outside the vocabulary and an empty split are errors.
    - A missing ``data_root``, ``data_prefix`` or ``ann_file`` is a FileNotFoundError. Single images
      are not looked for at the start: that takes minutes on a cluster's file system.
    - An image that :class:`~mmmlc.datasets.LoadImage` cannot load is logged, once, and replaced by
      a random other one in training; with ``test_mode=True`` it raises :class:`BrokenImageError`.

    Args:
        with_boxes: keep the boxes of the annotation file in the sample. A pipeline with a transform
            that moves the image without its boxes is then refused.
        max_refetch: so many broken images in a row stop the training.
        outside: images that the annotation file looks for outside of ``data_root`` and
            ``data_prefix`` are an ``'error'``; ``'files'`` takes them; ``'anywhere'`` takes
            addresses (``https://``, ``s3://``), too. Without ``data_root``, ``'error'`` refuses
            addresses alone.
        lazy_init: do not read the annotation file yet.
    """

    source_key = 'ann_file'  # the config key behind ``source``
    entry_name = 'entry'  # what ``entry`` counts in ``source``

    def __init__(
        self,
        *args: Any,
        with_boxes: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 100,
        outside: str = 'error',
        **kwargs: Any,
    ) -> None:
        if outside not in OUTSIDE:
            raise ValueError(f'outside={outside!r}, expected one of {OUTSIDE}')
        self.outside = outside
        if isinstance(kwargs.get('classes'), str):  # mmpretrain's reading keeps byte order marks
            kwargs['classes'] = read_class_names(expanduser(kwargs['classes']))
        if kwargs.get('filter_cfg'):
            raise ValueError(f'{type(self).__name__} takes no filter_cfg: {kwargs["filter_cfg"]}')
        if 'data_root' in kwargs:
            kwargs['data_root'] = expanduser(kwargs['data_root'])
        self.with_boxes = with_boxes
        self._failures = 0
        super().__init__(*args, lazy_init=True, max_refetch=max_refetch, **kwargs)
        check_boxes_follow(self.pipeline.transforms, with_boxes)
        if not lazy_init:
            self.full_init()

    @property
    def source(self) -> str:
        """The file that lists the samples, named in errors."""
        return self.ann_file

    def full_init(self) -> None:
        """Check the paths, then read the annotation file."""
        if self._fully_initialized:
            return
        self._check_paths()
        super().full_init()

    def _check_paths(self) -> None:
        if 'img_path' not in self.data_prefix:
            raise ValueError(f"data_prefix has the keys {[*self.data_prefix]}, needs 'img_path'")
        prefixes = {f'data_prefix[{k!r}]': path for k, path in self.data_prefix.items()}
        for key, path in {'data_root': self.data_root, **prefixes}.items():
            _require(os.path.isdir, path, key, 'folder')
        _require(os.path.isfile, self.source, self.source_key, 'file')

    def image_folder(self, prefix: str | None = None) -> ImageFolder:
        """Where the images may be; ``prefix`` in place of that of the config."""
        prefix = self.img_prefix if prefix is None else prefix
        return ImageFolder(prefix, self.data_root, self.outside)

    def _warn_of_repeats(self, samples: Sequence[dict]) -> None:
        """Warn of an image that several entries name."""
        if pairs := repeated_paths([sample['img_path'] for sample in samples]):
            first, other = (samples[row] for row in pairs[0])
            warn_once(
                f'{self.source}: {self.entry_name} {other["entry"]} has the image of '
                f'{self.entry_name} {first["entry"]}, {other["img_path"]!r} ({len(pairs):,} such '
                'in all)'
            )

    def filter_data(self) -> Sequence[dict]:
        """Check and normalise the labels of all samples (mmengine calls this in full_init)."""
        data_list = super().filter_data()
        classes = self._metainfo.get('classes') or self._metainfo.get('categories')
        self._check_split(data_list, classes)
        for entry, info in enumerate(data_list):
            info.setdefault('entry', entry)
            if 'gt_label' in info:
                info['gt_label'] = self._checked_labels(info, len(classes))
        self._remember_reports(max(info['entry'] for info in data_list))
        return data_list

    def _check_split(self, data_list: Sequence, classes: Sequence | None) -> None:
        if not data_list:
            raise ValueError(f'{self.source}: no sample left, the split is empty')
        if self._indices == 0 or np.size(self._indices) == 0:
            raise ValueError(f'{self.source}: indices={self._indices} leaves no sample')
        if not classes:
            raise ValueError(f'{self.source} names no classes: give classes=[...]')

    def _remember_reports(self, last_entry: int) -> None:
        # In shared memory: the workers of all epochs know what has been reported.
        self._reported = torch.zeros(last_entry + 1, dtype=torch.bool)
        self._reported.share_memory_()

    def _checked_labels(self, info: dict, num_classes: int) -> list[int]:
        labels, path = info['gt_label'], safe_line(info['img_path'])
        where = f'{self.source}: entry {info["entry"]} ({path})'
        if not isinstance(labels, (list, tuple, set, np.ndarray)):
            raise TypeError(f'{where}: gt_label={labels!r}, expected a list')
        for label in labels:
            if not isinstance(label, (int, np.integer)) or not 0 <= label < num_classes:
                raise ValueError(
                    f'{where}: label {label!r} is outside the vocabulary, '
                    f'expected an integer from 0 to {num_classes - 1}'
                )
        return sorted({int(label) for label in labels})

    def prepare_data(self, idx: int) -> dict | None:
        """Run the pipeline on a sample; None in place of a broken image makes mmengine go on."""
        try:
            data = super().prepare_data(idx)
        except BrokenImageError as error:
            self._report_broken(idx, error)
            return None
        self._failures = 0
        return data

    def _report_broken(self, idx: int, error: BrokenImageError) -> None:
        entry = self.get_data_info(idx)['entry']
        message = f'broken image, {self.entry_name} {entry} of {self.source}: {error}'
        if self.test_mode:
            raise BrokenImageError(message) from error
        self._failures += 1
        if self._failures > self.max_refetch:
            self._failures = 0
            raise BrokenImageError(
                f'{self.max_refetch + 1} images in a row cannot be loaded, check data_root and '
                f'data_prefix (images in {self.img_prefix!r}). The last: {message}'
            ) from error
        if not self._reported[entry]:
            self._reported[entry] = True
            warn(f'{message}. Another image is taken in its place.')

    def count_positives(self) -> np.ndarray | None:
        """Images with each class, (C,); None without labels."""
        self.full_init()
        counts = np.zeros(len(self.CLASSES), dtype=np.int64)
        for idx in range(len(self)):
            info = self.get_data_info(idx)
            if 'gt_label' not in info:
                return None
            counts[info['gt_label']] += 1
        return counts

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of a sample (for mmengine's ``ClassBalancedDataset``)."""
        return self.get_data_info(idx)['gt_label']

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels of all samples, (N, C) uint8 of 0 and 1."""
        matrix = np.zeros((len(self), len(self.CLASSES)), dtype=np.uint8)
        for idx, row in enumerate(matrix):
            row[self.get_cat_ids(idx)] = 1
        return matrix


def _require(exists: Callable[[str], bool], path: str | None, key: str, what: str) -> None:
    """Raise FileNotFoundError naming the config key; remote paths are not looked at."""
    if not path or not isinstance(get_file_backend(path), LocalBackend) or exists(path):
        return
    place = '' if os.path.isabs(path) else f' (working directory {os.getcwd()})'
    raise FileNotFoundError(f'{key}: no {what} {path!r}{place}')


@DATASETS.register_module()
class MultiLabelDataset(MultiLabelMixin, _MultiLabelDataset):
    """mmpretrain's ``MultiLabelDataset`` (OpenMMLab JSON with lists of labels) with our checks.

    It carries no boxes, so that every transform may be used.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, with_boxes=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read ``ann_file``; what is wrong with it is raised as ValueError naming the file."""
        metainfo, entries = read_openmmlab(self.ann_file)
        for key, value in metainfo.items():
            self._metainfo.setdefault(key, value)
        self._question(metainfo.get('classes'))
        self._check_order(metainfo.get('classes'))
        folders = {key: self.image_folder(prefix) for key, prefix in self.data_prefix.items()}
        samples: list[dict] = []
        for number, entry in enumerate(entries):
            where = f'{self.ann_file}: entry {number}'
            samples.append({'entry': number} | self._sample(entry, folders, where))
        self._warn_of_repeats(samples)
        return samples

    def _sample(self, entry: object, folders: dict[str, ImageFolder], where: str) -> dict:
        if not isinstance(entry, dict):
            raise ValueError(f'{where} is {entry!r}, expected an object')
        paths = {}
        for key, folder in folders.items():
            if not isinstance(path := entry.get(key), str):
                raise ValueError(f'{where} has {key}={path!r}, expected text')
            paths[key] = folder.join(path, f'{where}: {key}')
        sample = self.parse_data_info(dict(entry))
        if not isinstance(sample, dict):
            raise ValueError(f'{where} is no single image')
        return sample | paths

    def _check_order(self, classes: object) -> None:
        """Refuse the file's classes in another order: its labels are numbers, and would change."""
        ours = self._metainfo.get('classes')
        if not isinstance(classes, (list, tuple)) or not isinstance(ours, (list, tuple)):
            return
        if list(ours) != list(classes) and sorted(map(str, ours)) == sorted(map(str, classes)):
            raise ValueError(
                f'{self.ann_file}: classes is {list(classes)}, and classes={list(ours)} of the '
                'dataset the same in another order: labels are numbers, leave classes out'
            )

    def _question(self, classes: object) -> None:
        """Question the vocabulary of the file, unless the config gives another."""
        if classes is None or self._metainfo['classes'] is not classes:
            return
        if not isinstance(classes, (list, tuple)):
            raise ValueError(f'{self.ann_file}: classes is {classes!r}, expected a list of names')
        names = checked_classes(classes, f'{self.ann_file}: classes')
        check_vocabulary(
            names,
            lambda name: f'{self.ann_file}: classes[{names.index(name)}]',
            lambda _: 'classes=[...] of the dataset says which classes there are',
        )
