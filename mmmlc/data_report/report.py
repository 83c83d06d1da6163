"""What is in the data of a config, and what is wrong with it.

N: images of a split, C: classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS

from mmmlc.datasets.split_checks import judge_splits
from mmmlc.datasets.transforms import loader_options

from .files import FileCheck, check_files

SPLITS = ('train', 'val', 'test')
_CHUNK = 1 << 20


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
        loader: arguments of the :class:`~mmmlc.datasets.LoadImage` of its pipeline.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    paths: list[str]
    labels: list[list[int]]
    unknown: list[list[int]]
    has_labels: bool = True
    loader: dict = field(default_factory=dict)

    @property
    def unlabelled(self) -> list[int]:
        """Images without a positive class."""
        return [i for i, labels in enumerate(self.labels) if not labels] if self.has_labels else []


@dataclass(frozen=True)
class Problem:
    """Something to look at.

    ``kind`` is empty or absent, see :func:`~mmmlc.datasets.split_checks.judge_splits`; missing,
    broken, duplicate, leak or unlabelled; or that of a note of
    :class:`~mmmlc.data_report.files.FileCheck`: constant, mode, orientation or shape.
    """

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
        pairs: (P, 2) classes a < b that occur together, ascending.
        together: (P,) images with both of them.
    """

    positive: np.ndarray
    unknown: np.ndarray
    pairs: np.ndarray
    together: np.ndarray

    def matrix(self, classes: np.ndarray) -> np.ndarray:
        """Images with both classes, (K, K), of K different classes; the diagonal is ``positive``.

        Args:
            classes: (K,) their labels.
        """
        place = np.full(len(self.positive), -1)
        place[classes] = np.arange(len(classes))
        matrix = np.diag(self.positive[classes])
        rows, columns = place[self.pairs].T
        inside = (rows >= 0) & (columns >= 0)
        rows, columns, counts = rows[inside], columns[inside], self.together[inside]
        matrix[rows, columns] = matrix[columns, rows] = counts
        return matrix


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
    options = [_loader_options(cfg[f'{group[0]}_dataloader'].dataset) for group, _ in groups]
    return [
        _read(', '.join(group), DATASETS.build(config), loader)
        for (group, config), loader in zip(groups, options, strict=True)
    ]


def _loader_options(config: dict) -> dict:
    """Of a data set's config, or of the first in a wrapper."""
    while 'dataset' in config or config.get('datasets'):
        config = config['dataset'] if 'dataset' in config else config['datasets'][0]
    return loader_options(config.get('pipeline') or ()) or {}


def check_images(splits: Sequence[Split], workers: int | None = None) -> Iterator[FileCheck]:
    """Check the files of all splits, each once, with the loader of the first split that has it."""
    seen: set[str] = set()
    for split in splits:
        paths = [path for path in dict.fromkeys(split.paths) if path not in seen]
        seen.update(paths)
        yield from check_files(paths, workers, split.loader)


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


def _read(name: str, dataset: Any, loader: dict) -> Split:
    leaves = _leaves(dataset)
    samples = [leaf.get_data_info(i) for leaf in leaves for i in range(len(leaf))]
    sources = dict.fromkeys(getattr(leaf, 'source', leaf.ann_file) for leaf in leaves)
    return Split(
        name=name,
        source=', '.join(sources),
        classes=tuple(dataset.metainfo.get('classes') or ()),
        paths=[sample['img_path'] for sample in samples],
        labels=[sorted(set(sample.get('gt_label', ()))) for sample in samples],
        unknown=[list(sample.get('gt_label_ignore', ())) for sample in samples],
        has_labels=any('gt_label' in sample for sample in samples),
        loader=loader,
    )


def count_labels(split: Split) -> LabelCounts:
    """Frequencies of the classes, and of the pairs of them that occur together."""
    num = len(split.classes)
    # A pair is one number, its first class times C plus its second.
    found, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for codes in _pair_codes(split.labels, num):
        found, counts = _add_counts(found, counts, codes)
    positive, unknown = (
        np.bincount(np.fromiter(chain.from_iterable(lists), np.int64), minlength=num)
        for lists in (split.labels, split.unknown)
    )
    pairs = np.stack(np.divmod(found, max(num, 1)), axis=1)
    return LabelCounts(positive, unknown, pairs, counts)


def _pair_codes(labels: Sequence[Sequence[int]], num_classes: int) -> Iterator[np.ndarray]:
    """The pairs of all images, about a million at a time."""
    by_length: dict[int, list[Sequence[int]]] = defaultdict(list)
    for row in labels:
        by_length[len(row)].append(row)
    for length, rows in by_length.items():
        first, second = np.triu_indices(length, 1)
        step = max(1, _CHUNK // max(len(first), 1))
        for start in range(0, len(rows) if length > 1 else 0, step):
            chunk = np.sort(np.array(rows[start : start + step], dtype=np.int64), axis=1)
            yield (chunk[:, first] * num_classes + chunk[:, second]).ravel()


def _add_counts(
    found: np.ndarray, counts: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count further codes in sorted unique ones."""
    codes = np.concatenate((found, np.sort(codes)))
    weights = np.ones(len(codes), dtype=np.int64)
    weights[: len(found)] = counts
    order = np.argsort(codes, kind='stable')
    codes, weights = codes[order], weights[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    return codes[starts], np.add.reduceat(weights, starts)


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
            check = files[path]
            if check.kind != 'good':
                problems.append(Problem(check.kind, split.name, path, check.detail))
    problems += _duplicates(splits, files)
    for split in splits:
        problems += [Problem('unlabelled', split.name, split.paths[i]) for i in split.unlabelled]
        for path in dict.fromkeys(split.paths):
            problems += [Problem(kind, split.name, path, text) for kind, text in files[path].notes]
    counts = {split.name: count_labels(split) for split in splits if split.has_labels}
    problems += _missing_classes(splits, counts)
    return DataReport(list(splits), counts, problems, files)


def _missing_classes(splits: Sequence[Split], counts: dict[str, LabelCounts]) -> list[Problem]:
    if len({split.classes for split in splits}) > 1:
        return []  # said apart: classes are compared by their place
    positives = {name: count.positive for name, count in counts.items()}
    images = {split.name: len(split.paths) for split in splits}
    found = judge_splits(positives, images, splits[0].classes)
    return [Problem('empty' if f.certain else 'absent', f.split, '', f.text) for f in found]


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
