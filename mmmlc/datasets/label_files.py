"""Label files read into columns: CSV or JSON lines, by their ending."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

import numpy as np

from .label_csv import CsvReader
from .label_rows import CHUNK, Builder, LabelRows, Names
from .text_files import parse_json, read_text

_ABSENT = object()


def read_labels(path: str, names: Names, classes: Sequence[str] | None = None) -> LabelRows:
    """Read a label file; its ending says what it is.

    Args:
        path: ``.csv``, ``.tsv`` or ``.txt`` (with a header), ``.jsonl`` or ``.ndjson``.
        names: of the columns.
        classes: the columns to read of a table with a column per class; None reads all.

    Raises:
        ValueError: another ending, or broken content; names file, line and value.
    """
    ending = path.rpartition('.')[2].lower()
    if ending in ('jsonl', 'ndjson'):
        return _read_json_lines(path, names)
    if ending in ('csv', 'tsv', 'txt'):
        return CsvReader(path, names, classes).read()
    raise ValueError(f'{path}: expected a file .csv, .tsv, .txt, .jsonl or .ndjson')


def read_class_names(path: str) -> list[str]:
    """Read a text file with one class name per line; empty lines are left out."""
    names = [line.strip() for line in read_text(path).splitlines()]
    return [name for name in names if name]


def _read_json_lines(path: str, names: Names) -> LabelRows:
    builder = Builder(path, names.rename)
    seen: set[str] = set()
    # Not splitlines: JSON may hold other line ends, such as U+2028, inside its texts.
    numbered = enumerate(read_text(path).split('\n'), start=1)
    filled = ((number, line) for number, line in numbered if line.strip())
    with_split = False
    while chunk := list(islice(filled, CHUNK)):
        records = [_parse(path, number, line) for number, line in chunk]
        lines = np.array([number for number, _ in chunk])
        if not builder.count:
            with_split = names.split in records[0]
        builder.add_paths(lines, _fields(path, lines, records, names.path, str))
        for key, name, default in (
            ('positive', names.labels, _ABSENT),
            ('unknown', names.unknown, []),
        ):
            lists = _fields(path, lines, records, name, list, default)
            _check_texts(path, lines, name, lists)
            counts = [len(labels) for labels in lists]
            codes = builder.classes.encode(list(chain.from_iterable(lists)))
            builder.add_pairs(key, np.repeat(np.arange(len(lists)), counts), codes)
        if with_split:
            builder.add_splits(_fields(path, lines, records, names.split, str))
        elif extra := [n for n, r in zip(lines, records, strict=True) if names.split in r]:
            raise ValueError(f'{path}: line {extra[0]} has {names.split!r}, the first has none')
        if names.group:
            builder.add_groups(
                [_group(path, n, r, names.group) for n, r in zip(lines, records, strict=True)]
            )
        seen.update(*records)
        builder.end_chunk(len(records))
    if names.group not in seen:
        builder.parts['groups'].clear()
    unused = seen - {names.path, names.labels, names.unknown, names.split, names.group}
    return builder.finish(None, sorted(unused))


def _group(path: str, number: int, record: dict, name: str) -> str:
    value = record.get(name)
    if value is None:
        return ''
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f'{path}: line {number}: {name} is {value!r}, expected text or an integer')
    return str(value)


def _parse(path: str, number: int, line: str) -> dict:
    record = parse_json(line, f'{path}: line {number}', 'is not JSON')
    if not isinstance(record, dict):
        raise ValueError(f'{path}: line {number} is {record!r}, expected an object {{...}}')
    return record


def _fields(
    path: str,
    lines: np.ndarray,
    records: list[dict],
    name: str,
    kind: type,
    default: object = _ABSENT,
) -> list:
    values = [record.get(name, default) for record in records]
    if set(map(type, values)) == {kind}:
        return values
    index = next(i for i, value in enumerate(values) if not isinstance(value, kind))
    where, what = f'{path}: line {lines[index]}', 'text' if kind is str else 'a list of texts'
    if values[index] is _ABSENT:
        raise ValueError(f'{where} has no field {name!r}, only {[*records[index]]}')
    raise ValueError(f'{where}: {name} is {values[index]!r}, expected {what}')


def _check_texts(path: str, lines: np.ndarray, name: str, lists: list[list]) -> None:
    if set(map(type, chain.from_iterable(lists))) <= {str} and all(
        map(str.strip, chain.from_iterable(lists))
    ):
        return
    for line, labels in zip(lines, lists, strict=True):
        for label in labels:
            if not isinstance(label, str) or not label.strip():
                raise ValueError(f'{path}: line {line}: {name} holds {label!r}, expected text')
