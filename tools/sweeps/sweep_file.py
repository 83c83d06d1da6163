"""Sweep files of ``tools/sweep.py``: a YAML with runs and tables, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from strict_yaml import check_keys, read_yaml

TRAIN = '{python} {tools}/train.py {config}'
TEST = '{python} {tools}/test.py {config} {checkpoint}'
NAME = re.compile(r'\w[\w.+-]*')


@dataclass(frozen=True)
class Run:
    """One row of a table: a training with its test, or a test of another run's weights."""

    name: str
    config: str
    overrides: dict  # dotted config keys and their values
    seeds: tuple[int, ...]
    epochs: int | None  # None: as the config says
    test_of: str | None  # the run whose weights are tested; None: this run trains
    checkpoint: str | None  # file in the training's work directory; None: the last checkpoint


@dataclass(frozen=True)
class TableSpec:
    """A table of the report."""

    title: str
    text: str
    rows: dict[str, str]  # label -> run name
    metrics: tuple[str, ...]  # the first one also makes the difference and the order
    difference_to: str | None  # run name
    published: dict[str, dict[str, float]]  # column title -> label -> number


@dataclass(frozen=True)
class Sweep:
    """A sweep file."""

    path: Path
    title: str
    text: str
    runs: dict[str, Run]
    tables: tuple[TableSpec, ...]
    train_command: str
    test_command: str
    validate: bool  # evaluate during training too
    compare: tuple[tuple[str, str], ...] = ()  # pairs of runs: is the first one better?

    @property
    def name(self) -> str:
        """The file's name without its ending; names the results and the work directory."""
        return self.path.stem


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep file; docs/sweeps.md describes it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not what docs/sweeps.md describes; names file, entry and key.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such sweep file')
    content = read_yaml(path)
    allowed = ('title', 'text', 'metrics', 'defaults', 'runs', 'tables')
    others = ('train_command', 'test_command', 'validate', 'compare')
    check_keys(f'{path}', content, (*allowed, *others), ('runs', 'metrics'))
    runs = _read_runs(path, content['runs'], content.get('defaults') or {})
    metrics = _strings(f'{path}: metrics', content['metrics'])
    return Sweep(
        path=path,
        title=content.get('title', path.stem),
        text=content.get('text', ''),
        runs=runs,
        tables=_read_tables(path, content.get('tables'), metrics, runs),
        train_command=content.get('train_command', TRAIN),
        test_command=content.get('test_command', TEST),
        validate=bool(content.get('validate', False)),
        compare=_read_pairs(path, content.get('compare', []), runs),
    )


def _strings(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError(f'{where} is {value!r}, expected a list of names')
    return tuple(value)


def _read_runs(path: Path, entries: object, defaults: dict) -> dict[str, Run]:
    if not isinstance(entries, list):
        raise ValueError(f'{path}: runs is {entries!r}, expected a list')
    keys = ('config', 'overrides', 'seeds', 'epochs')
    check_keys(f'{path}: defaults', defaults, keys)
    runs: dict[str, Run] = {}
    for index, entry in enumerate(entries):
        where = f'{path}: runs[{index}]'
        check_keys(where, entry, ('name', 'test_of', 'checkpoint', *keys), ('name',))
        name = entry['name']
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f'{where}: name {name!r}, expected letters, digits, _ . + -')
        if name in runs:
            raise ValueError(f'{where}: the name {name!r} stands twice')
        runs[name] = _read_run(f'{path}: run {name}', entry, defaults, runs)
    return runs


def _read_run(where: str, entry: dict, defaults: dict, earlier: dict[str, Run]) -> Run:
    test_of = entry.get('test_of')
    overrides = entry.get('overrides') or {}
    if not isinstance(overrides, dict):
        raise ValueError(f'{where}: overrides is {overrides!r}, expected keys and values')
    if test_of is not None:
        base = earlier.get(test_of)
        if base is None or base.test_of:
            raise ValueError(f'{where}: test_of {test_of!r} is no run above it that trains')
        inherited = dict(config=base.config, seeds=list(base.seeds), epochs=base.epochs)
        overrides = base.overrides | overrides
    else:
        inherited = defaults
        overrides = (defaults.get('overrides') or {}) | overrides
    merged = inherited | entry
    if not isinstance(merged.get('config'), str):
        raise ValueError(f'{where}: config is {merged.get("config")!r}, expected a file')
    seeds = merged.get('seeds', [0])
    if not isinstance(seeds, list) or not seeds or any(type(s) is not int for s in seeds):
        raise ValueError(f'{where}: seeds is {seeds!r}, expected a list of integers')
    if len(set(seeds)) < len(seeds):
        raise ValueError(f'{where}: seeds {seeds} hold a seed twice')
    if test_of is not None and (missing := set(seeds) - set(earlier[test_of].seeds)):
        raise ValueError(f'{where}: seed {min(missing)} is not trained by {test_of!r}')
    epochs = merged.get('epochs')
    if epochs is not None and (type(epochs) is not int or epochs < 1):
        raise ValueError(f'{where}: epochs is {epochs!r}, expected a positive integer')
    name, checkpoint = entry['name'], entry.get('checkpoint')
    return Run(name, merged['config'], overrides, tuple(seeds), epochs, test_of, checkpoint)


def _read_pairs(path: Path, entries: object, runs: dict) -> tuple[tuple[str, str], ...]:
    if not isinstance(entries, list):
        raise ValueError(f'{path}: compare is {entries!r}, expected a list of pairs of runs')
    for index, pair in enumerate(entries):
        where = f'{path}: compare[{index}]'
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
            raise ValueError(f'{where} is {pair!r}, expected two runs')
        if unknown := [name for name in pair if name not in runs]:
            raise ValueError(f'{where}: {unknown[0]!r} is no run, expected one of {list(runs)}')
    return tuple((a, b) for a, b in entries)


def _read_tables(
    path: Path, entries: list | None, metrics: tuple[str, ...], runs: dict[str, Run]
) -> tuple[TableSpec, ...]:
    if entries is None:
        return (TableSpec('Runs', '', {name: name for name in runs}, metrics, None, {}),)
    keys = ('title', 'text', 'rows', 'metrics', 'difference_to', 'published')
    tables = []
    for index, entry in enumerate(entries):
        where = f'{path}: tables[{index}]'
        check_keys(where, entry, keys, ('title', 'rows'))
        rows, base = entry['rows'], entry.get('difference_to')
        rows = rows if isinstance(rows, dict) else {name: name for name in rows}
        rows = {str(label): name for label, name in rows.items()}
        for name in [*rows.values(), *([base] if base else [])]:
            if name not in runs:
                raise ValueError(f'{where}: {name!r} is no run, expected one of {list(runs)}')
        chosen = _strings(f'{where}: metrics', entry.get('metrics', list(metrics)))
        published = {
            column: {str(label): number for label, number in numbers.items()}
            for column, numbers in (entry.get('published') or {}).items()
        }
        for column, numbers in published.items():
            if unknown := [label for label in numbers if label not in rows]:
                raise ValueError(f'{where}: published {column!r}: {unknown[0]!r} is no row')
        tables.append(
            TableSpec(entry['title'], entry.get('text', ''), rows, chosen, base, published)
        )
    return tuple(tables)
