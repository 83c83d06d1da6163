"""What the readers of label files share: the columns they fill, chunk by chunk.

N: rows of the file, P: (row, class) pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .image_paths import check_text, is_odd, plain_path
from .label_table import Ragged

CHUNK = 65536  # rows at a time: bounds the memory that lists of Python texts take


@dataclass(frozen=True)
class Names:
    """What the columns (or JSON fields) are called, and what stands between two labels.

    Args:
        path: column of the images; so are the next four.
        labels: labels.
        unknown: classes that are not known.
        split: splits.
        group: groups of images that stay together; ``''`` for none.
        separator: between two labels.
        rename: other names of labels; None leaves a label out.
    """

    path: str
    labels: str
    unknown: str
    split: str
    group: str
    separator: str
    rename: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelRows:
    """What a file says, row by row.

    Args:
        paths: N paths in their one spelling, in UTF-8.
        hashes: (N,) of the paths; equal paths have equal hashes.
        lines: (N,) lines of the file, from 1.
        classes: names in order of appearance, or of columns.
        positive: (2, P) rows and indices into ``classes``.
        unknown: the same of the pairs that are not known.
        splits: (N,) indices into ``split_names``, -1 where none is given; None without the column.
        split_names: what the split column says.
        groups: (N,) indices into ``group_names``, -1 where none is given; None without the column.
        group_names: what the group column says.
        one_hot: whether there is a column per class; ``classes`` may then repeat a name that
            several columns were renamed to.
        unused: names of columns or fields that are not read.
        respelled: how many paths had another spelling.
    """

    paths: Ragged
    hashes: np.ndarray
    lines: np.ndarray
    classes: list[str]
    positive: np.ndarray
    unknown: np.ndarray
    splits: np.ndarray | None
    split_names: list[str]
    groups: np.ndarray | None
    group_names: list[str]
    one_hot: bool
    unused: list[str]
    respelled: int

    def line_of_class(self, name: str) -> str:
        """``'line 3 (a.jpg)'``, the first that names the class; the header of a table."""
        if self.one_hot:
            return 'line 1'
        pairs = np.concatenate([self.positive, self.unknown], axis=1)
        rows = pairs[0, pairs[1] == self.classes.index(name)]
        return f'line {self.lines[rows.min()]} ({self.paths.text(rows.min())!r})'


class Codes(dict):
    """Numbers of texts in order of appearance, -1 of an empty one; spaces around don't count.

    Args:
        rename: other names of texts; None makes one empty.
    """

    def __init__(self, rename: Mapping[str, str | None] | None = None) -> None:
        self.names: dict[str, int] = {}
        self.rename = rename or {}

    def __missing__(self, text: str) -> int:
        stripped = text.strip()
        name = self.rename.get(stripped, stripped)
        self[text] = code = self.names.setdefault(name, len(self.names)) if name else -1
        return code

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(self.__getitem__, texts), np.int64, len(texts))


class Builder:
    """Collects chunks of rows."""

    def __init__(self, path: str, rename: Mapping[str, str | None] | None = None) -> None:
        self.path = path
        self.classes, self.splits, self.groups = Codes(rename), Codes(), Codes()
        self.count = self.respelled = 0
        columns = ('paths', 'hashes', 'lines', 'positive', 'unknown', 'splits', 'groups')
        self.parts: dict[str, list] = {key: [] for key in columns}

    def add_paths(self, lines: np.ndarray, paths: Sequence[str]) -> None:
        paths = [path.strip() for path in paths]
        if '' in paths:
            raise ValueError(f'{self.path}: line {lines[paths.index("")]}: the path is empty')
        joined = ''.join(paths)
        if '\0' in joined or not joined.isascii():
            for line, path in zip(lines, paths, strict=True):
                check_text(path, f'{self.path}: line {line}')
        if is_odd(joined):
            written, paths = paths, [plain_path(path) for path in paths]
            self.respelled += sum(a != b for a, b in zip(written, paths, strict=True))
            joined = ''.join(paths)
        self.parts['lines'].append(lines)
        self.parts['paths'].append(Ragged.from_strings(paths, joined))
        self.parts['hashes'].append(np.fromiter(map(hash, paths), np.int64, len(paths)))

    def add_pairs(self, key: str, rows: np.ndarray, codes: np.ndarray) -> None:
        """``rows`` count from the first row of the chunk."""
        self.parts[key].append(np.stack([rows[codes >= 0] + self.count, codes[codes >= 0]]))

    def add_splits(self, splits: Sequence[str]) -> None:
        self.parts['splits'].append(self.splits.encode(splits))

    def add_groups(self, groups: Sequence[str]) -> None:
        self.parts['groups'].append(self.groups.encode(groups))

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
            groups=np.concatenate(self.parts['groups']) if self.parts['groups'] else None,
            group_names=list(self.groups.names),
            one_hot=classes is not None,
            unused=unused,
            respelled=self.respelled,
            **pairs,
        )
