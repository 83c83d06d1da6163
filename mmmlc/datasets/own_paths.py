"""Paths of a label file: where they may lead, and which of them are one photo.

N: images.
"""

from __future__ import annotations

import os

import numpy as np

from .image_paths import ImageFolder, is_absolute, same_file, spelling_twins
from .label_rows import LabelRows
from .label_table import Ragged
from .vocabulary import warn_once

_NO_PATH = {'nan', 'None', 'null', 'NULL', 'NaN', '<NA>'}
_TWINS_LOOKED_AT = 1000  # on the disk


def _first_bytes(paths: Ragged) -> np.ndarray:
    return paths.values[paths.ends - paths.counts]


def check_paths(ann_file: str, rows: LabelRows, folder: ImageFolder) -> None:
    """Refuse paths that are none, or lead out of the folder of the data.

    Raises:
        ValueError: names file, line and path.
    """
    paths, first = rows.paths, _first_bytes(rows.paths)
    check = np.zeros(len(paths), dtype=bool)
    if folder.data_root:
        check |= (first == ord('/')) | (first == ord('.'))
    if b':' in paths.values.tobytes():  # of addresses, and of drives of Windows
        colons = np.flatnonzero(paths.values == ord(':'))
        check[np.searchsorted(paths.ends, colons, side='right')] = True
    for row in np.flatnonzero(check).tolist():
        folder.check(paths.text(row), f'{ann_file}: line {rows.lines[row]}')
    for row in np.flatnonzero((paths.counts >= 3) & (paths.counts <= 4)).tolist():
        if paths.text(row) in _NO_PATH:
            raise ValueError(
                f'{ann_file}: line {rows.lines[row]}: the path is {paths.text(row)!r}, which says '
                'that there is none'
            )


def path_keys(paths: Ragged, prefix: str) -> list[str] | None:
    """N texts that are equal for one file, if some paths are absolute and some are not.

    None where the paths themselves will do.
    """
    absolute = _first_bytes(paths) == ord('/')
    if os.sep != '/':
        absolute = np.array([is_absolute(paths.text(row)) for row in range(len(paths))])
    if absolute.all() or not absolute.any():
        return None
    root = os.path.abspath(prefix).replace(os.sep, '/').rstrip('/') + '/'
    return [paths.text(row).removeprefix(root) for row in range(len(paths))]


def warn_of_twins(ann_file: str, rows: LabelRows, prefix: str) -> None:
    """Look at paths that differ in case or in composed accents alone.

    Raises:
        ValueError: two of them are one file.
    """
    data = rows.paths.values.tobytes()
    if data.isascii() and data.lower() == data:
        return
    texts = [rows.paths.text(row) for row in range(len(rows.paths))]
    missing = 0
    for first, other in spelling_twins(texts)[:_TWINS_LOOKED_AT]:
        if texts[first] == texts[other]:
            continue
        same = same_file(*(os.path.join(prefix, texts[row]) for row in (first, other)))
        where = f'{ann_file}: lines {rows.lines[first]} and {rows.lines[other]}'
        if same:
            raise ValueError(
                f'{where}: {texts[first]!r} and {texts[other]!r} are one file: write one'
            )
        if same is None and not missing:
            missing += 1
            names = f'{ascii(texts[first])} and {ascii(texts[other])}'
            warn_once(f'{where}: {names} differ in case or accents alone: are they one photo?')
