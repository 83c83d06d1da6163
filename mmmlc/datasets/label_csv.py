"""CSV files of labels: a column with lists of labels, or a column per class."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from operator import methodcaller

import numpy as np
from mmengine import fileio

from .label_rows import CHUNK, Builder, LabelRows, Names
from .text_files import decode, encoding_of

_UNKNOWN, _WRONG = -1, -2
_CELLS = {'1': 1, '0': 0, '': _UNKNOWN, '?': _UNKNOWN, '-1': _UNKNOWN}


class _Values(dict):
    """1, 0, unknown or wrong of a cell in a table with a column per class."""

    def __missing__(self, text: str) -> int:
        value = _CELLS.get(text.strip(), _WRONG)
        if value == _WRONG and re.fullmatch(r'\s*(-?1|0)\.0*\s*', text):
            value = int(float(text))
        self[text] = value
        return value


_csv = partial(csv.reader, skipinitialspace=True, strict=True)


class CsvReader:
    """CSV with a header: a column of label lists if there is one, else a column per class."""

    def __init__(self, path: str, names: Names, classes: Sequence[str] | None) -> None:
        self.path, self.names = path, names
        data = fileio.get(path)
        decode(path, data)
        # Decodes as it goes; newline='' leaves line ends, also those in quotes, to the csv module.
        self.file = io.TextIOWrapper(io.BytesIO(data), encoding=encoding_of(data), newline='')
        self.header, delimiter = self._read_header()
        self.reader = _csv(self.file, delimiter=delimiter)
        self.column = {name: index for index, name in enumerate(self.header)}
        self.one_hot = names.labels not in self.column
        known = {names.path, names.split, names.group}
        if not self.one_hot:
            used = known | {names.labels, names.unknown}
            self.class_columns: list[str] = []
        else:
            self.class_columns = self._class_columns(known, classes)
            used = known.union(self.class_columns)
        self.unused = [name for name in self.header if name not in used]

    def _read_header(self) -> tuple[list[str], str]:
        line = self.file.readline()
        if not line.strip():
            where = 'is empty' if not line else 'starts with an empty line'
            raise ValueError(f'{self.path} {where}, expected a header with {self.names.path!r}')
        for delimiter in ',;\t':
            try:
                header = [name.strip() for name in next(_csv([line], delimiter=delimiter))]
            except csv.Error as error:
                raise ValueError(f'{self.path}: line 1: {error}') from error
            if self.names.path not in header:
                continue
            if twice := [name for name, n in Counter(filter(None, header)).items() if n > 1]:
                raise ValueError(f'{self.path}: line 1 names the columns {twice} more than once')
            return header, delimiter
        raise ValueError(
            f'{self.path}: line 1 is {line.strip()[:200]!r}, expected a header with the column '
            f'{self.names.path!r}; path_column=... names another'
        )

    def _class_columns(self, known: set[str], classes: Sequence[str] | None) -> list[str]:
        found = [name for name in self.header if name not in known]
        rename = self.names.rename
        found = [name for name in found if rename.get(name, name) is not None]
        if '' in found and classes is None:
            raise ValueError(
                f'{self.path}: line 1: column {self.column[""] + 1} has no name, as the index that '
                "pandas writes (index=False leaves it out); rename={'': None} of the dataset "
                'leaves it out, as classes=[...] leaves out all others'
            )
        if missing := sorted(set(classes or ()) - {rename.get(name, name) for name in found}):
            raise ValueError(
                f'{self.path} has no column {missing}, asked for in classes, and no column '
                f'{self.names.labels!r} with lists of labels; label_column=... names another'
            )
        if not found:
            raise ValueError(
                f'{self.path}: line 1 has neither the column {self.names.labels!r} nor a column '
                'per class; label_column=... names another'
            )
        chosen = None if classes is None else set(classes)
        return [name for name in found if chosen is None or rename.get(name, name) in chosen]

    def read(self) -> LabelRows:
        builder = Builder(self.path, self.names.rename)
        values, class_indices = _Values(), [self.column[name] for name in self.class_columns]
        for lines, columns in self._chunks():
            builder.add_paths(lines, columns[self.column[self.names.path]])
            if self.names.split in self.column:
                builder.add_splits(columns[self.column[self.names.split]])
            if self.names.group in self.column:
                builder.add_groups(columns[self.column[self.names.group]])
            if self.one_hot:
                cells = [columns[index] for index in class_indices]
                self._add_table(builder, lines, cells, values)
            else:
                self._add_lists(builder, columns)
            builder.end_chunk(len(lines))
        names = [self.names.rename.get(name) or name for name in self.class_columns]
        return builder.finish(names if self.one_hot else None, self.unused)

    def _add_lists(self, builder: Builder, columns: list[tuple[str, ...]]) -> None:
        separator = self.names.separator
        for key, name in (('positive', self.names.labels), ('unknown', self.names.unknown)):
            if name not in self.column:
                continue
            cells = columns[self.column[name]]
            counts = np.fromiter(map(methodcaller('count', separator), cells), np.int64) + 1
            codes = builder.classes.encode(separator.join(cells).split(separator))
            builder.add_pairs(key, np.repeat(np.arange(len(cells)), counts), codes)

    def _add_table(
        self, builder: Builder, lines: np.ndarray, cells: list[tuple[str, ...]], values: _Values
    ) -> None:
        count = len(cells) * len(lines)
        flat = map(values.__getitem__, chain.from_iterable(cells))
        table = np.fromiter(flat, np.int8, count).reshape(len(cells), len(lines)).T
        if len(wrong := np.argwhere(table == _WRONG)):
            row, column = wrong[0]
            raise ValueError(
                f'{self.path}: line {lines[row]}, column {self.class_columns[column]!r}: '
                f"{cells[column][row]!r}, expected 1, 0, or unknown: '', '?' or -1. If the "
                'column holds names of classes, set label_column; if it is no class, give '
                'classes=[...]'
            )
        builder.add_pairs('positive', *(table == 1).nonzero())
        builder.add_pairs('unknown', *(table == _UNKNOWN).nonzero())

    def _chunks(self) -> Iterator[tuple[np.ndarray, list[tuple[str, ...]]]]:
        """Yield the lines (from 1) and the columns of some thousand rows at a time."""
        while True:
            before = self.reader.line_num
            try:
                rows = list(islice(self.reader, CHUNK))
            except csv.Error as error:
                raise ValueError(
                    f'{self.path}: line {self.reader.line_num + 1}: {error}'
                ) from error
            if not rows:
                return
            lines = before + 2 + np.arange(len(rows))  # from 1, after the header
            if self.reader.line_num - before > len(rows):  # line ends in quotes
                extra = np.array([_line_ends(row) for row in rows])
                lines += np.cumsum(extra) - extra
            widths = np.fromiter(map(len, rows), np.int64, len(rows))
            if (widths != len(self.header)).any():
                filled = np.array([any(map(str.strip, row)) for row in rows])
                rows = [row for row, keep in zip(rows, filled, strict=True) if keep]
                lines, widths = lines[filled], widths[filled]
                self._check_widths(rows, lines, widths)
            if rows:
                yield lines, list(zip(*rows, strict=True))

    def _check_widths(self, rows: list[list[str]], lines: np.ndarray, widths: np.ndarray) -> None:
        if not (wrong := widths != len(self.header)).any():
            return
        row = int(np.argmax(wrong))
        raise ValueError(
            f'{self.path}: line {lines[row]} has {widths[row]} fields, {rows[row]}, expected '
            f'{len(self.header)}: {self.header}. A field that holds a comma needs quotes'
        )


def _line_ends(row: list[str]) -> int:
    return sum(len(re.findall('\r\n|\r|\n', field)) for field in row)
