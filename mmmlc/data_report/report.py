"""What is in the data of a config, and what is wrong with it.

N: images of a split, C: classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS

from .files import FileCheck

SPLITS = ('train', 'val', 'test')
_CHUNK = 65536


@dataclass(frozen=True)
class Split:
    """The labels of one data set.

    Args:
        name: ``'train'``, or ``'val, test'`` when a config uses one data set for both.
        source: where the labels come from.
        classes: C names.
        paths: N files.
        labels: N lists of positive classes.
        unknown: N lists of classes left out of the loss (``gt_label_ignore``).
        has_labels: False for a test set without labels.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    paths: list[str]
    labels: list[list[int]]
    unknown: list[list[int]]
    has_labels: bool = True

    @property
    def unlabelled(self) -> list[int]:
        """Images without a positive class."""
        return [i for i, labels in enumerate(self.labels) if not labels] if self.has_labels else []


@dataclass(frozen=True)
class Problem:
    """Something to look at: ``kind`` is missing, broken, duplicate, leak or unlabelled."""

    kind: str
    split: str
    path: str
    detail: str = ''


@dataclass(frozen=True)
class LabelCounts:
    """How often the classes of a split occur.

    Args:
        positive: (C,) images with the class.
        unknown: (C,) images where it is unknown.
        together: (C, C) images with both classes; the diagonal is ``positive``.
    """

    positive: np.ndarray
    unknown: np.ndarray
    together: np.ndarray


@dataclass
class DataReport:
    """Everything found in the splits of a config."""

    splits: list[Split]
    counts: dict[str, LabelCounts]
    problems: list[Problem]
    files: dict[str, FileCheck] = field(repr=False)

    def of_kind(self, kind: str, split: str | None = None) -> list[Problem]:
        """The problems of one kind, of one split or all."""
        return [p for p in self.problems if p.kind == kind and split in (None, p.split)]

    @property
    def same_classes(self) -> bool:
        """Whether all splits have the same classes in the same order."""
        return len({split.classes for split in self.splits}) == 1

    @property
    def unreadable(self) -> int:
        """Number of missing and broken files, over all splits."""
        return len({p.path for p in self.problems if p.kind in ('missing', 'broken')})


def load_splits(cfg: Config, names: Sequence[str] = SPLITS) -> list[Split]:
    """Build the data sets of a config without their pipelines and read their labels.

    A data set that serves two splits (``test_dataloader = val_dataloader``) is returned once.

    Raises:
        ValueError: if the config has no data set for a named split, or it has no images.
    """
    groups: list[tuple[list[str], dict]] = []
    for name in names:
        loader = cfg.get(f'{name}_dataloader')
        if not loader:
            if tuple(names) == SPLITS:
                continue
            raise ValueError(f'the config has no {name}_dataloader')
        config = _without_pipeline(Config(dict(loader)).to_dict()['dataset'])
        same = [group for group in groups if group[1] == config]
        same[0][0].append(name) if same else groups.append(([name], config))
    if not groups:
        raise ValueError('the config has no train_dataloader, val_dataloader or test_dataloader')
    return [_read(', '.join(group), DATASETS.build(config)) for group, config in groups]


def _without_pipeline(config: dict) -> dict:
    """Drop the pipelines of a data set and of those it wraps."""
    config = {key: value for key, value in config.items() if key != 'pipeline'}
    if isinstance(config.get('dataset'), dict):
        config['dataset'] = _without_pipeline(config['dataset'])
    if isinstance(config.get('datasets'), list):
        config['datasets'] = [_without_pipeline(inner) for inner in config['datasets']]
    return config


def _leaves(dataset: Any) -> list:
    """The data sets inside wrappers, so that repeated images are not taken for duplicates."""
    if hasattr(dataset, 'datasets'):
        return list(chain.from_iterable(map(_leaves, dataset.datasets)))
    return _leaves(dataset.dataset) if hasattr(dataset, 'dataset') else [dataset]


def _read(name: str, dataset: Any) -> Split:
    leaves = _leaves(dataset)
    samples = [leaf.get_data_info(i) for leaf in leaves for i in range(len(leaf))]
    sources = dict.fromkeys(getattr(leaf, 'source', leaf.ann_file) for leaf in leaves)
    return Split(
        name=name,
        source=', '.join(sources),
        classes=tuple(dataset.metainfo.get('classes') or ()),
        paths=[sample['img_path'] for sample in samples],
        labels=[list(sample.get('gt_label', ())) for sample in samples],
        unknown=[list(sample.get('gt_label_ignore', ())) for sample in samples],
        has_labels=any('gt_label' in sample for sample in samples),
    )


def count_labels(split: Split) -> LabelCounts:
    """Frequencies and co-occurrence of the classes."""
    num = len(split.classes)
    together = np.zeros((num, num), dtype=np.int64)
    for start in range(0, len(split.labels), _CHUNK):
        hot = _many_hot(split.labels[start : start + _CHUNK], num)
        together += (hot.T @ hot).astype(np.int64)
    unknown = np.fromiter(chain.from_iterable(split.unknown), np.int64)
    return LabelCounts(together.diagonal().copy(), np.bincount(unknown, minlength=num), together)


def _many_hot(labels: Sequence[Sequence[int]], num_classes: int) -> np.ndarray:
    counts = np.fromiter(map(len, labels), np.int64, len(labels))
    hot = np.zeros((len(labels), num_classes), dtype=np.float32)
    flat = np.fromiter(chain.from_iterable(labels), np.int64, int(counts.sum()))
    hot[np.repeat(np.arange(len(labels)), counts), flat] = 1
    return hot


def make_report(splits: Sequence[Split], files: dict[str, FileCheck]) -> DataReport:
    """Put labels and files together.

    Args:
        splits: of :func:`load_splits`.
        files: of :func:`~mmmlc.data_report.files.check_files`, by path, for all paths of all
            splits.
    """
    problems = []
    for split in splits:
        for path in dict.fromkeys(split.paths):
            if files[path].kind != 'good':
                problems.append(Problem(files[path].kind, split.name, path, files[path].detail))
    problems += _duplicates(splits, files)
    for split in splits:
        problems += [Problem('unlabelled', split.name, split.paths[i]) for i in split.unlabelled]
    counts = {split.name: count_labels(split) for split in splits if split.has_labels}
    return DataReport(list(splits), counts, problems, files)


def _duplicates(splits: Sequence[Split], files: dict[str, FileCheck]) -> list[Problem]:
    """Images of the same content: again in their split, or also in an earlier one (a leak)."""
    firsts: dict[bytes | str, dict[str, tuple[Split, int]]] = defaultdict(dict)
    problems = []
    for split in splits:
        for row, path in enumerate(split.paths):
            content = files[path].digest if files[path].kind == 'good' else path
            seen, here = firsts[content], (split, row)
            for name, there in seen.items():
                kind = 'duplicate' if name == split.name else 'leak'
                problems.append(_same_content(kind, here, there))
            seen.setdefault(split.name, here)
    return problems


def _same_content(kind: str, here: tuple[Split, int], there: tuple[Split, int]) -> Problem:
    (split, row), (other, other_row) = here, there
    same_file = split.paths[row] == other.paths[other_row]
    detail = 'the same file' if same_file else f'same content as {other.paths[other_row]}'
    if kind == 'leak':
        detail += f' in {other.name}'
    names, others = (sorted(s.classes[label] for label in s.labels[r]) for s, r in (here, there))
    if split.has_labels and other.has_labels and names != others:
        detail += f'; other labels: {", ".join(names) or "none"} / {", ".join(others) or "none"}'
    return Problem(kind, split.name, split.paths[row], detail)
