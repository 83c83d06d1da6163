"""Labels of many images in a few arrays, which worker processes share.

A list of a million dicts is copied into every worker bit by bit, because looking at a Python
object counts references in it; arrays stay shared after a fork.

N: images, P: (image, class) pairs, C: classes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_CHUNK = 65536


@dataclass(frozen=True)
class Ragged:
    """N rows of different length: row i is ``values[ends[i - 1]:ends[i]]``."""

    values: np.ndarray
    ends: np.ndarray

    @classmethod
    def from_counts(cls, values: np.ndarray, counts: np.ndarray) -> Ragged:
        """Rows of the given lengths, one after the other."""
        return cls(values, np.cumsum(counts, dtype=np.int64))

    @classmethod
    def from_strings(cls, texts: Sequence[str], joined: str | None = None) -> Ragged:
        """UTF-8 bytes of each text; ``joined`` if they have been joined already."""
        joined = ''.join(texts) if joined is None else joined
        pieces = texts if joined.isascii() else [text.encode() for text in texts]
        counts = np.fromiter(map(len, pieces), np.int64, len(texts))
        return cls.from_counts(np.frombuffer(joined.encode(), np.uint8), counts)

    @classmethod
    def concatenate(cls, parts: Iterable[Ragged]) -> Ragged:
        """The rows of all parts."""
        parts = list(parts)
        counts = np.concatenate([part.counts for part in parts])
        return cls.from_counts(np.concatenate([part.values for part in parts]), counts)

    @property
    def counts(self) -> np.ndarray:
        """(N,) lengths of the rows."""
        return np.diff(self.ends, prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.ends[row - 1] if row else 0 : self.ends[row]]

    def text(self, row: int) -> str:
        """A row of UTF-8 bytes as text."""
        return self[row].tobytes().decode()

    def take(self, rows: np.ndarray) -> Ragged:
        """The rows of these indices, in this order."""
        counts = self.counts[rows]
        starts = self.ends[rows] - counts
        parts = [self.values[:0]]
        for begin in range(0, len(rows), _CHUNK):  # bounds the memory of the positions
            n = counts[begin : begin + _CHUNK]
            shifts = starts[begin : begin + _CHUNK] - (np.cumsum(n) - n)
            parts.append(self.values[np.repeat(shifts, n) + np.arange(n.sum())])
        return self.from_counts(np.concatenate(parts), counts)


def rows_of_pairs(keys: np.ndarray, num_rows: int, num_classes: int) -> Ragged:
    """Rows of sorted class indices from sorted unique ``row * C + class``, (P,)."""
    rows, classes = np.divmod(keys, max(num_classes, 1))
    return Ragged.from_counts(classes.astype(np.int32), np.bincount(rows, minlength=num_rows))


def pair_keys(pairs: np.ndarray, label_of: np.ndarray, num_classes: int) -> tuple[np.ndarray, int]:
    """Sorted unique ``row * C + label`` of (2, P) rows and codes, and how many were repeated.

    Codes whose label in ``label_of`` is -1 are left out.
    """
    rows, codes = pairs
    labels = label_of[codes]
    keys = (rows * num_classes + labels)[labels >= 0]
    unique = _unique(keys)
    return unique, len(keys) - len(unique)


def _unique(keys: np.ndarray) -> np.ndarray:
    # np.unique takes many times as long: from NumPy 2.3 on it hashes first.
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


def move_keys(keys: np.ndarray, first: np.ndarray, num_classes: int) -> np.ndarray:
    """Give the pairs of each row to the row ``first[row]``."""
    rows, labels = np.divmod(keys, num_classes)
    return _unique(first[rows] * num_classes + labels)


def first_of_path(hashes: np.ndarray, paths: Ragged) -> np.ndarray:
    """The first row with the path of each row, (N,); equal paths have equal hashes."""
    own = np.arange(len(hashes))
    in_order = np.sort(hashes)
    if (in_order[1:] != in_order[:-1]).all():
        return own
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    first = first[group]
    for row in np.flatnonzero(first != own):
        # Else two texts share a 64-bit hash.
        if np.array_equal(paths[int(row)], paths[int(first[row])]):
            own[row] = first[row]
    return own


def path_places(paths: Ragged) -> np.ndarray:
    """A number in [0, 1) for each path, (N,): as if drawn at random, and always the same."""
    data, ends = paths.values.tobytes(), paths.ends.tolist()
    digests = (
        hashlib.blake2b(data[start:end], digest_size=8).digest()
        for start, end in zip([0, *ends], ends, strict=False)
    )
    return np.frombuffer(b''.join(digests), '<u8') / 2.0**64


@dataclass(frozen=True)
class LabelTable(Sequence):
    """A sequence of samples ``img_path``, ``img_id``, ``gt_label``, ``gt_label_ignore``, ``entry``.

    Args:
        prefix: folder in front of the paths.
        paths: N paths in UTF-8.
        labels: positive classes of each image, sorted.
        unknown: classes not known of each image, sorted.
        entries: (N,) lines in the file.
    """

    prefix: str
    paths: Ragged
    labels: Ragged
    unknown: Ragged
    entries: np.ndarray

    def __len__(self) -> int:
        return len(self.entries)

    # No slices: mmengine's data sets ask for one sample at a time.
    def __getitem__(self, index: int) -> dict:  # type: ignore[override]
        row = range(len(self))[index]  # negative indices, and IndexError beyond the end
        path = self.paths.text(row)
        return {
            # An address stands alone; annotation files may only hold them where a config says so.
            'img_path': path if '://' in path else os.path.join(self.prefix, path),
            'img_id': path,
            'gt_label': self.labels[row].tolist(),
            'gt_label_ignore': self.unknown[row].tolist(),
            'entry': int(self.entries[row]),
        }

    def take(self, rows: np.ndarray) -> LabelTable:
        """A table of these rows only."""
        paths, labels, unknown = (x.take(rows) for x in (self.paths, self.labels, self.unknown))
        return LabelTable(self.prefix, paths, labels, unknown, self.entries[rows])
