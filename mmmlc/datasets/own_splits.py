"""Which image of a label file is in which split, and whether the splits make sense.

N: images, C: classes, S: splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .divide import by_place, group_places, stratify
from .label_rows import LabelRows, Names
from .label_table import LabelTable
from .split_checks import judge_splits
from .vocabulary import doubts, twins, warn_once

SHARES = {'train': 0.7, 'val': 0.15, 'test': 0.15}
SPLIT_BY = ('path', 'stratified')


@dataclass(frozen=True)
class Division:
    """How a file is divided that has no column of splits.

    Args:
        shares: by split.
        by: ``'path'`` or ``'stratified'``.
        seed: of ``'stratified'``.
    """

    shares: dict[str, float]
    by: str
    seed: int


def checked_shares(shares: Mapping[str, float] | None) -> dict[str, float]:
    """The shares, or the usual ones; ValueError unless they sum to 1."""
    shares = dict(SHARES if shares is None else shares)
    values = list(shares.values())
    if not values or not min(values) >= 0 or not abs(sum(values) - 1) <= 1e-6:
        raise ValueError(f'shares={shares}, expected numbers from 0 to 1 that sum to 1')
    return shares


def split_rows(
    path: str,
    names: Names,
    rows: LabelRows,
    table: LabelTable,
    num_classes: int,
    division: Division,
) -> tuple[np.ndarray, list[str]]:
    """The split of each image of the table (N,), -1 for none, and the names of the splits.

    Args:
        path: of the file.
        names: of its columns.
        rows: what the file says.
        table: its images, without repeated rows.
        num_classes: C.
        division: if the file has no column of splits.
    """
    chosen = np.searchsorted(rows.lines, table.entries)
    groups = None if rows.groups is None else rows.groups[chosen]
    if rows.splits is None:
        shares = list(division.shares.values())
        if division.by == 'stratified':
            found = stratify(table.labels, num_classes, table.paths, shares, division.seed, groups)
        else:
            found = by_place(group_places(table.paths, groups, rows.group_names), shares)
        return found, list(division.shares)
    check_split_names(path, names, rows)
    splits = rows.splits[chosen]
    if groups is not None:
        _warn_of_divided_groups(path, names, rows, groups, splits)
    return splits, rows.split_names


def check_group_column(path: str, names: Names, rows: LabelRows, given: bool) -> None:
    """Refuse a table's column ``group`` that may be a class, unless the config names it."""
    if given or rows.groups is None or not rows.one_hot:
        return
    if {name.strip() for name in rows.group_names} <= {'0', '1', '?', '-1', '0.0', '1.0', '-1.0'}:
        raise ValueError(
            f'{path}: the column {names.group!r} holds {rows.group_names}: give group_column='
            f"{names.group!r} if it says which images stay in one split, group_column='' if it "
            'is a class'
        )


def check_split_names(path: str, names: Names, rows: LabelRows) -> None:
    """Refuse 'Train' beside 'train': rows would be in no split of a config without a word."""
    for doubt in twins(rows.split_names, 'splits'):
        if doubt.certain:
            code = rows.split_names.index(doubt.names[0])
            line = rows.lines[np.argmax(rows.splits == code)]
            raise ValueError(
                f'{path}: line {line}: {doubt.text} in the column {names.split!r}: write one'
            )
    odd = [d for d in doubts(rows.split_names) if d.kind in ('nothing', 'list', 'characters')]
    for doubt in odd:
        code = rows.split_names.index(doubt.names[0])
        line = rows.lines[np.argmax(rows.splits == code)]
        warn_once(
            f'{path}: line {line}: {doubt.names[0]!r} in the column {names.split!r} is taken for a '
            'split; an empty cell is in none'
        )


def _warn_of_divided_groups(
    path: str, names: Names, rows: LabelRows, groups: np.ndarray, splits: np.ndarray
) -> None:
    inside = (groups >= 0) & (splits >= 0)
    pairs = np.unique(np.stack([groups[inside], splits[inside]]), axis=1)
    _, counts = np.unique(pairs[0], return_counts=True)
    if (divided := int((counts > 1).sum())) > 0:
        group = int(np.unique(pairs[0])[np.argmax(counts > 1)])
        of_group = [rows.split_names[split] for split in pairs[1, pairs[0] == group]]
        warn_once(
            f'{path}: the group {rows.group_names[group]!r} is in the splits {of_group} '
            f'({divided:,} such groups in all): the column {names.split!r} divides what the column '
            f"{names.group!r} says belongs together; group_column='' does not read it"
        )


def warn_of_splits(
    path: str, table: LabelTable, found: np.ndarray, names: list[str], classes: list[str]
) -> None:
    """Warn of splits without images, without labels, and of classes that one of them lacks."""
    rows = np.repeat(found, table.labels.counts)
    inside = rows >= 0
    keys = rows[inside] * len(classes) + table.labels.values[inside]
    counts = np.bincount(keys, minlength=len(names) * len(classes)).reshape(len(names), -1)
    images = np.bincount(found[found >= 0], minlength=len(names)).tolist()
    positives = dict(zip(names, counts, strict=True))
    for finding in judge_splits(positives, dict(zip(names, images, strict=True)), classes):
        warn_once(f'{path}: {finding.text}')


def warn_of_shares(path: str, found: np.ndarray, division: Division) -> None:
    """Warn where large groups leave splits of other sizes than asked for."""
    sizes = np.bincount(found, minlength=len(division.shares))
    real = {name: round(n / len(found), 3) for name, n in zip(division.shares, sizes, strict=True)}
    far = max(abs(real[name] - share) for name, share in division.shares.items())
    if far > 0.05:
        warn_once(
            f'{path}: groups of images that stay together make the splits {real} in place of '
            f'{division.shares}'
        )
