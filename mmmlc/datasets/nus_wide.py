"""NUS-WIDE from the list files of its authors.

N images, C concepts: the labels are read as a table (N, C) of 0 and 1, one file per concept.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log
from mmpretrain.datasets.base_dataset import BaseDataset

from mmmlc.ops.wording import listed
from mmmlc.registry import DATASETS

from .image_paths import plain_path
from .multilabel import MultiLabelMixin
from .text_files import decode
from .vocabulary import checked_classes

_PARTS = {'train': 'Train', 'test': 'Test'}  # as in the file names
_CONCEPTS = 'ConceptsList/Concepts81.txt'


@DATASETS.register_module()
class NUSWIDE(MultiLabelMixin, BaseDataset):
    """NUS-WIDE (Chua et al., CIVR 2009): 269,648 images, 81 concepts.

    ``data_root`` holds, as distributed, ``ConceptsList/Concepts81.txt``,
    ``ImageList/{Train,Test}Imagelist.txt`` (paths with back-slashes),
    ``Groundtruth/TrainTestLabels/Labels_<concept>_{Train,Test}.txt`` (one 0 or 1 a line) and the
    images in ``Flickr``. A sample carries ``img_path``, ``img_id`` (the path of the list, with
    slashes) and ``gt_label``; there are no boxes.

    Args:
        data_root: the folder.
        split: ``'train'`` (161,789 images) or ``'test'`` (107,859), of the authors' division.
        image_list: in place of ``split``, a file with one image path a line as in ``ImageList``,
            relative to ``data_root``. The images may come from both lists of the authors.
        data_prefix: folder of the images.
        keep_unlabelled: also give images without any of the concepts. The literature leaves them
            out: 209,347 of the 269,648 images remain.
        **kwargs: of :class:`MultiLabelMixin` and mmpretrain's ``BaseDataset``; ``classes`` may
            name some of the concepts.

    Raises:
        FileNotFoundError: a missing folder or list.
        ValueError: a list with a wrong line or of another length; names file and line.
    """

    source_key = 'split or image_list'

    def __init__(
        self,
        data_root: str,
        split: str = '',
        image_list: str = '',
        data_prefix: str | dict = 'Flickr',
        keep_unlabelled: bool = False,
        **kwargs: Any,
    ) -> None:
        if bool(split) == bool(image_list) or split not in ('', *_PARTS):
            raise ValueError(
                f'split={split!r} and image_list={image_list!r}: expected one of them, '
                f'split being one of {(*_PARTS,)}'
            )
        self.split = split
        self.image_list = image_list
        self.keep_unlabelled = keep_unlabelled
        super().__init__(
            ann_file='', data_root=data_root, data_prefix=data_prefix, with_boxes=False, **kwargs
        )

    @property
    def source(self) -> str:
        """The list of images."""
        return self._path(self.image_list or f'ImageList/{_PARTS[self.split]}Imagelist.txt')

    def load_data_list(self) -> list[dict]:
        """Read lists and labels into one dict per image."""
        concepts = self._choose_concepts()
        if self.image_list:
            paths, table = self._read_own_list(concepts)
        else:
            paths, table = self._read_part(_PARTS[self.split], concepts)
        self._log_counts(table)
        rows, columns = np.nonzero(table)
        ends = np.cumsum(np.bincount(rows, minlength=len(paths)))
        labels = columns.tolist()
        samples, start, folder = [], 0, self.image_folder()
        for line, (path, end) in enumerate(zip(paths, ends.tolist(), strict=True), start=1):
            if start < end or self.keep_unlabelled:
                img_path = folder.join(path, f'{self.source}: line {line}')
                label = labels[start:end]
                samples.append(dict(img_path=img_path, img_id=path, gt_label=label, entry=line))
            start = end
        return samples

    def _path(self, name: str) -> str:
        return os.path.join(self.data_root, name)

    def _choose_concepts(self) -> list[str]:
        """Set the vocabulary: all concepts, or those asked for in ``classes``."""
        path = self._path(_CONCEPTS)
        known = _read_lines(path)
        _refuse_repeats(path, known)
        for line, concept in enumerate(known, start=1):
            if '/' in concept or '\\' in concept or '\0' in concept:  # they name files
                raise ValueError(f'{path}: line {line} is {concept!r}, which is no concept')
        chosen = checked_classes(self._metainfo.get('classes') or known)
        if unknown := sorted(set(chosen) - set(known)):
            raise ValueError(
                f'{path} has no concept {listed(unknown, quoted=True)}, asked for in classes'
            )
        self._metainfo['classes'] = tuple(chosen)
        return chosen

    def _read_part(self, part: str, concepts: list[str]) -> tuple[list[str], np.ndarray]:
        """Return the image paths of a list of the authors and their labels (N, C) bool."""
        list_path = self._path(f'ImageList/{part}Imagelist.txt')
        paths = [plain_path(line) for line in _read_lines(list_path)]
        _refuse_repeats(list_path, paths)
        table = np.empty((len(paths), len(concepts)), dtype=bool)
        for column, concept in zip(table.T, concepts, strict=True):
            path = self._path(f'Groundtruth/TrainTestLabels/Labels_{concept}_{part}.txt')
            column[:] = _read_column(path, len(paths), list_path)
        return paths, table

    def _read_own_list(self, concepts: list[str]) -> tuple[list[str], np.ndarray]:
        """Return the image paths of ``image_list`` and their labels (N, C) bool."""
        lists, tables = zip(*(self._read_part(p, concepts) for p in _PARTS.values()), strict=True)
        known = [path for paths in lists for path in paths]
        row_of = {path: row for row, path in enumerate(known)}
        paths = [plain_path(line) for line in _read_lines(self.source)]
        _refuse_repeats(self.source, paths)
        if not set(paths) <= row_of.keys():
            line, path = next((i, p) for i, p in enumerate(paths, start=1) if p not in row_of)
            raise ValueError(f"{self.source}: line {line}: the authors' lists have no {path!r}")
        return paths, np.concatenate(tables)[[row_of[path] for path in paths]]

    def _log_counts(self, table: np.ndarray) -> None:
        total, labelled = len(table), int(table.any(axis=1).sum())
        fate = 'kept' if self.keep_unlabelled else 'dropped'
        message = (
            f'{self.source}: {total:,} images, {labelled:,} with labels, {total - labelled:,} '
            f'without any label {fate}; {int(table.sum()):,} labels of {table.shape[1]} concepts'
        )
        print_log(message, logger='current')


def _read(path: str) -> bytes:
    try:
        return fileio.get(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'no file {path}, which NUS-WIDE needs') from error


def _read_lines(path: str) -> list[str]:
    """Return the lines without surrounding blanks; an empty line may only be at the end."""
    lines = [line.strip() for line in decode(path, _read(path)).rstrip().splitlines()]
    if '' in lines:
        raise ValueError(f'{path}: line {lines.index("") + 1} is empty')
    return lines


def _refuse_repeats(path: str, names: list[str]) -> None:
    if len(set(names)) == len(names):
        return
    lines: dict[str, int] = {}
    for line, name in enumerate(names, start=1):
        if name in lines:
            raise ValueError(f'{path}: line {line} repeats line {lines[name]}, {name!r}')
        lines[name] = line


def _read_column(path: str, count: int, list_path: str) -> np.ndarray:
    """Return the labels of one concept, (count,) bool."""
    content = _read(path)
    values = np.frombuffer(content.replace(b'\r', b''), dtype=np.uint8)
    digits, ends = values[::2], values[1::2]
    # The usual file is digit, line end, digit, line end. ord('0') | 1 is ord('1').
    if len(digits) == count and (ends == ord('\n')).all() and ((digits | 1) == ord('1')).all():
        return digits == ord('1')
    lines = [line.strip() for line in content.rstrip().splitlines()]
    for number, line in enumerate(lines, start=1):
        if line not in (b'0', b'1'):
            raise ValueError(f'{path}: line {number} is {line.decode()!r}, expected 0 or 1')
    if len(lines) != count:
        raise ValueError(f'{path} has {len(lines):,} lines, {list_path} has {count:,} images')
    return np.array(lines) == b'1'
