"""Predictions as files, written one by one: JSON, JSON lines, CSV, Parquet, a page."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from mmmlc.neutral import safe_cell
from mmmlc.whole_files import whole_file

from .model import Prediction
from .page import page_writer

Write: TypeAlias = Callable[[Prediction], None]
_ROWS = 1000  # of a Parquet file that are held at a time


@contextlib.contextmanager
def prediction_file(path: str | Path, classes: Sequence[str]) -> Iterator[Write]:
    """A function that adds a prediction to a file, which is there when the block ends, whole.

    Args:
        path: ``.json`` (an object with ``classes`` and ``images``), ``.jsonl`` (an image a line),
            ``.csv`` or ``.parquet`` (an image a row: its labels and the score of each class), or
            ``.html`` (a page to look at).
        classes: Names of the C classes.

    Raises:
        ValueError: for another suffix.
        ImportError: if Parquet's library, pyarrow, is missing.
    """
    kinds = {
        '.json': _json,
        '.jsonl': _json_lines,
        '.csv': _csv,
        '.parquet': _parquet,
        '.html': page_writer,
    }
    suffix = Path(path).suffix.lower()
    if suffix not in kinds:
        raise ValueError(f'{path}: suffix {suffix!r}, expected one of {", ".join(kinds)}')
    with whole_file(path) as part, kinds[suffix](part, classes) as write:
        yield write


def _open(path: Path) -> TextIO:
    # Halves of UTF-16 pairs, which names of files can hold, are written as escapes.
    return open(path, 'w', encoding='utf-8', errors='backslashreplace', newline='')


@contextlib.contextmanager
def _json(path: Path, classes: Sequence[str]) -> Iterator[Write]:
    with _open(path) as file:
        file.write(f'{{"classes": {json.dumps(list(classes))},\n"images": [')
        comma = ''

        def write(found: Prediction) -> None:
            nonlocal comma
            file.write(f'{comma}\n{json.dumps(found.as_dict())}')
            comma = ','

        yield write
        file.write('\n]}\n')


@contextlib.contextmanager
def _json_lines(path: Path, _: Sequence[str]) -> Iterator[Write]:
    with _open(path) as file:
        yield lambda found: print(json.dumps(found.as_dict()), file=file)


@contextlib.contextmanager
def _csv(path: Path, classes: Sequence[str]) -> Iterator[Write]:
    with _open(path) as file:
        writer = csv.writer(file)
        writer.writerow(map(safe_cell, ('image', 'labels', *classes)))

        def write(found: Prediction) -> None:
            scores = (f'{found.scores[name]:.6g}' for name in classes)
            writer.writerow(map(safe_cell, (found.image, ';'.join(found.labels), *scores)))

        yield write


@contextlib.contextmanager
def _parquet(path: Path, classes: Sequence[str]) -> Iterator[Write]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(f'{error}; Parquet needs it: pip install pyarrow') from error
    region = arrow.struct(
        [('box', arrow.list_(arrow.float32(), 4)), ('label', arrow.string())]
        + [('score', arrow.float32())]
    )
    scores = arrow.struct([(name, arrow.float32()) for name in classes])
    columns = [('image', arrow.string()), ('labels', arrow.list_(arrow.string()))]
    schema = arrow.schema([*columns, ('scores', scores), ('regions', arrow.list_(region))])
    rows: list[dict[str, Any]] = []
    with parquet.ParquetWriter(path, schema) as file:

        def flush() -> None:
            file.write_table(arrow.Table.from_pylist(rows, schema))
            rows.clear()

        def write(found: Prediction) -> None:
            rows.append(found.as_dict())
            if len(rows) == _ROWS:
                flush()

        yield write
        flush()
