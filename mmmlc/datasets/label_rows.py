"""What the readers of label files share: the columns they fill, chunk by chunk.

N: rows of the file, P: (row, class) pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .label_table import Ragged

CHUNK = 65536  # rows at a time: bounds the memory that lists of Python texts take


@dataclass(frozen=True)
class Names:
    """What the columns (or JSON fields) are called, and what stands between two labels."""

    path: str
    labels: str
    unknown: str
    split: str
    separator: str


@dataclass(frozen=True)
class LabelRows:
    """What a file says, row by row.

    Args:
        paths: N paths as written, in UTF-8.
        hashes: (N,) of the paths; equal paths have equal hashes.
        lines: (N,) lines of the file, from 1.
        classes: names in order of appearance, or of columns.
        positive: (2, P) rows and indices into ``classes``.
        unknown: the same of the pairs that are not known.
        splits: (N,) indices into ``split_names``, -1 where none is given; None without the column.
        split_names: what the split column says.
        one_hot: whether there is a column per class.
        unused: names of columns or fields that are not read.
    """

    paths: Ragged
    hashes: np.ndarray
    lines: np.ndarray
    classes: list[str]
    positive: np.ndarray
    unknown: np.ndarray
    splits: np.ndarray | None
    split_names: list[str]
    one_hot: bool
    unused: list[str]


def decode(path: str, data: bytes) -> str:
    """Text of a file's bytes in UTF-8, without a byte order mark; ValueError names the line."""
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        value = data[error.start : error.start + 1]
        raise ValueError(
            f'{path}: line {line} holds the byte {value!r}, expected text in UTF-8: save the file '
            'with this encoding'
        ) from error


class Codes(dict):
    """Numbers of texts in order of appearance, -1 of an empty one; spaces around don't count."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def __missing__(self, text: str) -> int:
        name = text.strip()
        self[text] = code = self.names.setdefault(name, len(self.names)) if name else -1
        return code

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(self.__getitem__, texts), np.int64, len(texts))


class Builder:
    """Collects chunks of rows."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.classes, self.splits = Codes(), Codes()
        self.count = 0
        self.parts: dict[str, list] = {
            key: [] for key in ('paths', 'hashes', 'lines', 'positive', 'unknown', 'splits')
        }

    def add_paths(self, lines: np.ndarray, paths: Sequence[str]) -> None:
        paths = [path.strip() for path in paths]
        if '' in paths:
            raise ValueError(f'{self.path}: line {lines[paths.index("")]}: the path is empty')
        self.parts['lines'].append(lines)
        self.parts['paths'].append(Ragged.from_strings(paths))
        self.parts['hashes'].append(np.fromiter(map(hash, paths), np.int64, len(paths)))

    def add_pairs(self, key: str, rows: np.ndarray, codes: np.ndarray) -> None:
        """``rows`` count from the first row of the chunk."""
        self.parts[key].append(np.stack([rows[codes >= 0] + self.count, codes[codes >= 0]]))

    def add_splits(self, splits: Sequence[str]) -> None:
        self.parts['splits'].append(self.splits.encode(splits))

    def end_chunk(self, rows: int) -> None:
        self.count += rows

    def finish(self, classes: list[str] | None, unused: list[str]) -> LabelRows:
        if not self.count:
            raise ValueError(f'{self.path} lists no image')
        empty = np.zeros((2, 0), np.int64)
        pairs = {
            k: np.concatenate([empty, *self.parts[k]], axis=1) for k in ('positive', 'unknown')
        }
        return LabelRows(
            paths=Ragged.concatenate(self.parts['paths']),
            hashes=np.concatenate(self.parts['hashes']),
            lines=np.concatenate(self.parts['lines']),
            classes=list(self.classes.names) if classes is None else classes,
            splits=np.concatenate(self.parts['splits']) if self.parts['splits'] else None,
            split_names=list(self.splits.names),
            one_hot=classes is not None,
            unused=unused,
            **pairs,
        )
