"""Whether splits can be trained on and compared: positives of every class, in every split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """Something wrong with the splits.

    Args:
        split: the split concerned.
        text: what is wrong.
        certain: whether nothing can be learned or measured so; False if it may be intended.
    """

    split: str
    text: str
    certain: bool


def judge_splits(
    positives: Mapping[str, np.ndarray], images: Mapping[str, int], classes: Sequence[str]
) -> list[Finding]:
    """What is wrong with the splits of a data set.

    Args:
        positives: by split, (C,) images with each class; training is called ``'train'``.
        images: by split, number of images.
        classes: C names, the same for all splits.

    Returns:
        Certain: a split without images, or without any positive. Otherwise: classes that a split
        has no positive of, and those of them that only the other splits have.
    """
    findings = []
    for split, counts in positives.items():
        if not images[split]:
            findings.append(Finding(split, f'{split} has no image', True))
        elif not counts.any():
            text = f'{split}: none of its {images[split]:,} images has a class'
            findings.append(Finding(split, text, True))
        else:
            findings += _missing(split, positives, classes)
    return findings


def _missing(
    split: str, positives: Mapping[str, np.ndarray], classes: Sequence[str]
) -> list[Finding]:
    lacks = positives[split] == 0
    others = {name: counts for name, counts in positives.items() if name != split}
    elsewhere = np.zeros(len(classes), dtype=bool)
    for counts in others.values():
        elsewhere |= counts > 0
    findings = []
    if split == 'train' and (lacks & elsewhere).any():
        rows = np.flatnonzero(lacks & elsewhere)
        have = [name for name, counts in others.items() if counts[rows].any()]
        text = f'train has no image of {_some(rows, classes)}, which {" and ".join(have)} has'
        findings.append(Finding(split, text, False))
        lacks &= ~elsewhere
    if lacks.any():
        text = f'{split} has no image of {_some(np.flatnonzero(lacks), classes)}'
        findings.append(Finding(split, text, False))
    return findings


def _some(rows: np.ndarray, classes: Sequence[str]) -> str:
    names = ', '.join(repr(classes[row]) for row in rows[:_SHOWN].tolist())
    more = f' and {len(rows) - _SHOWN:,} more' if len(rows) > _SHOWN else ''
    what = 'the class' if len(rows) == 1 else f'{len(rows):,} of {len(classes):,} classes:'
    return f'{what} {names}{more}'


def count_positives(dataset: Any) -> tuple[np.ndarray, int] | None:
    """Images with each class (C,), and images, of a data set or of those that it wraps.

    None if it has no vocabulary or no labels.
    """
    if hasattr(dataset, 'datasets'):
        parts = [count_positives(part) for part in dataset.datasets]
        known = [part for part in parts if part is not None]
        if not known or len({len(counts) for counts, _ in known}) > 1:
            return None
        return np.sum([c for c, _ in known], axis=0), sum(n for _, n in known)
    if hasattr(dataset, 'dataset'):
        return count_positives(dataset.dataset)
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    if not classes or not hasattr(dataset, 'count_positives'):
        return None
    counts = dataset.count_positives()
    return None if counts is None else (counts, len(dataset))
