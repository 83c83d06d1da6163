"""Tables of a sweep's finished runs, as Markdown and JSON; percent, as the metrics are."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from .plan import Job
from .sweep_file import Sweep, TableSpec


@dataclass(frozen=True)
class Result:
    """A finished test and the training it belongs to."""

    metrics: dict[str, float | None]
    seconds: float  # of the test, and of the training unless the run only tests
    records: tuple[dict, ...]
    split: str
    epochs: int | None


Results = dict[str, dict[int, Result]]  # run name -> seed -> result


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (None of a single value) of n values."""

    mean: float
    deviation: float | None
    n: int

    def text(self, sign: str = '') -> str:
        """For example ``71.3 ± 0.6``."""
        text = f'{self.mean:{sign}.1f}'
        return text if self.deviation is None else f'{text} ± {self.deviation:.1f}'


def spread(values: Iterable[float]) -> Spread | None:
    """Mean and spread of some values; None if there is none.

    >>> spread([1.0, 2.0, 6.0])
    Spread(mean=3.0, deviation=2.6457513110645907, n=3)
    """
    values = list(values)
    if not values:
        return None
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), deviation, len(values))


def collect(jobs: Sequence[Job]) -> Results:
    """The results of all finished tests."""
    results: Results = {}
    for job in jobs:
        if job.kind == 'train':
            continue
        by_seed = results.setdefault(job.run.name, {})
        record, trained = job.record(), job.needs[-1].record()
        if record is None:
            continue
        records = (record,) if job.run.test_of or trained is None else (trained, record)
        seconds = sum(r['seconds'] for r in records)
        train_cfg = job.config.get('train_cfg') or {}
        by_seed[job.seed] = Result(
            record['metrics'], seconds, records, _split(job), train_cfg.get('max_epochs')
        )
    return results


def _split(job: Job) -> str:
    """What is tested on, in the words of the config."""
    dataset = job.config.test_dataloader.dataset
    name = dataset.get('ann_file') or dataset.get('split') or '?'
    text = f'{dataset.get("data_root") or ""}/{name}'.strip('/')
    return f'{text}, indices {dataset["indices"]}' if dataset.get('indices') else text


def values_of(results: Results, run: str, metric: str) -> dict[int, float]:
    """A metric of a run by seed, where it is known."""
    found = {seed: result.metrics.get(metric) for seed, result in results[run].items()}
    return {seed: value for seed, value in found.items() if value is not None}


def paired_difference(results: Results, run: str, base: str, metric: str) -> Spread | None:
    """Mean and spread of run minus base, seed by seed, over the seeds that both have."""
    ours, theirs = (values_of(results, name, metric) for name in (run, base))
    return spread(ours[seed] - theirs[seed] for seed in ours if seed in theirs)


def agreeing_pairs(ours: dict[str, float], published: dict[str, float]) -> tuple[int, int]:
    """How many pairs of rows stand in the published order, and how many pairs there are.

    Pairs of equal published numbers don't count.

    >>> agreeing_pairs({'a': 1.0, 'b': 3.0, 'c': 2.0}, {'a': 10, 'b': 20, 'c': 30})
    (2, 3)
    """
    labels = [label for label in published if label in ours]
    pairs = [(a, b) for a, b in combinations(labels, 2) if published[a] != published[b]]
    agree = sum((ours[a] - ours[b]) * (published[a] - published[b]) > 0 for a, b in pairs)
    return agree, len(pairs)


def render_markdown(sweep: Sweep, jobs: Sequence[Job]) -> str:
    """The whole report.

    Raises:
        ValueError: for a metric that no finished run has; names those there are.
    """
    results = collect(jobs)
    _check_metrics(sweep, results)
    tests = [job for job in jobs if job.kind == 'test']
    missing = [f'{job.run.name} seed {job.seed}' for job in tests if job.record() is None]
    parts = [
        f'<!-- Written by tools/sweep.py from {sweep.path.name}; changes here are lost. -->',
        f'# {sweep.title}',
        sweep.text.strip(),
        _header(results),
        *(part for table in sweep.tables for part in _render_table(sweep, table, results)),
        f'Not finished: {", ".join(missing)}.' if missing else '',
    ]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _check_metrics(sweep: Sweep, results: Results) -> None:
    known = {m for seeds in results.values() for result in seeds.values() for m in result.metrics}
    for table in sweep.tables:
        if known and (unknown := [m for m in table.metrics if m not in known]):
            raise ValueError(
                f'{sweep.path}: table {table.title!r}: no run has a metric {unknown[0]!r}, '
                f'expected one of {sorted(known)}'
            )


def _header(results: Results) -> str:
    finished = [result for seeds in results.values() for result in seeds.values()]
    if not finished:
        return 'No run has finished yet.'
    records = [record for result in finished for record in result.records]

    def distinct(values: Iterable[object]) -> str:
        return ', '.join(sorted({str(value) for value in values}))

    commits = distinct(
        f'{r["commit"]}{" with uncommitted changes" if r["uncommitted"] else ""}' for r in records
    )
    machine = distinct(
        f'{r["device"]}, cores: {r["cores"]}, threads: {r["threads"]}' for r in records
    )
    return '\n'.join(
        (
            f'- Tested on {distinct(r.split for r in finished)}, with the weights of the last '
            'epoch unless a run names another checkpoint.',
            '- Mean ± sample standard deviation over the seeds. A row of 1 seed has no spread: '
            'read its differences with that in mind. Differences are taken seed by seed.',
            '- Time: seconds of one seed, training and test with their start-up; of a row that '
            'only tests, the test.',
            f'- Commit {commits}; torch {distinct(r["torch"] for r in records)}; {machine}.',
        )
    )


def _render_table(sweep: Sweep, table: TableSpec, results: Results) -> list[str]:
    main, *others = table.metrics
    head = ['', main, *others, 'epochs', 'seeds', 'time (s)']
    if table.difference_to:
        head.insert(2, f'{main} minus {_label(table, table.difference_to)}')
    position = head.index('epochs')
    head[position:position] = list(table.published)
    lines = [head, ['---'] * len(head)]
    for label, run in table.rows.items():
        cells = [_cell(spread(values_of(results, run, m).values())) for m in table.metrics]
        if table.difference_to:
            cells.insert(1, _difference(table, run, results))
        cells += [_number(numbers.get(label)) for numbers in table.published.values()]
        lines.append([label, *cells, *_facts(sweep, run, results)])
    text = '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)
    return [f'## {table.title}', table.text.strip(), text, _order(table, results)]


def _label(table: TableSpec, run: str) -> str:
    return next((label for label, name in table.rows.items() if name == run), run)


def _cell(value: Spread | None, sign: str = '') -> str:
    return '-' if value is None else value.text(sign)


def _number(value: float | None) -> str:
    return '' if value is None else str(value)


def _difference(table: TableSpec, run: str, results: Results) -> str:
    if run == table.difference_to:
        return ''
    value = paired_difference(results, run, table.difference_to, table.metrics[0])
    one = value is not None and value.n == 1 and len(results[table.difference_to]) > 1
    return _cell(value, '+') + (' (1 seed)' if one else '')


def _facts(sweep: Sweep, run: str, results: Results) -> list[str]:
    """Epochs, seeds and time of a row."""
    finished = list(results[run].values())
    planned = len(sweep.runs[run].seeds)
    seeds = f'{planned} seed{"s" * (planned > 1)}'
    if len(finished) < planned:
        seeds = f'{len(finished)} of {seeds}'
    if not finished:
        return ['', seeds, '']
    epochs = ', '.join(sorted({str(r.epochs) for r in finished}))
    return [epochs, seeds, f'{statistics.fmean(r.seconds for r in finished):.0f}']


def _order(table: TableSpec, results: Results) -> str:
    """How the order of the means compares with the published ones."""
    main = table.metrics[0]
    values = {
        label: spread(values_of(results, run, main).values()) for label, run in table.rows.items()
    }
    means = {label: value.mean for label, value in values.items() if value is not None}
    if len(means) < 2 or not table.published:
        return ''
    lines = [f'Order by {main}, lowest first. Here: {_ordered(means)}.']
    for column, numbers in table.published.items():
        agree, pairs = agreeing_pairs(means, numbers)
        lines.append(f'{column}: {_ordered(numbers)}; {agree} of {pairs} pairs stand so here.')
    return ' '.join(lines)


def _ordered(numbers: dict[str, float]) -> str:
    ordered = sorted(numbers, key=numbers.get)
    text = ordered[0] if ordered else ''
    for before, label in zip(ordered, ordered[1:], strict=False):
        text += f'{" = " if math.isclose(numbers[before], numbers[label]) else " < "}{label}'
    return text


def report_json(sweep: Sweep, jobs: Sequence[Job]) -> dict:
    """Everything the tables are made of, every seed, not rounded."""
    results, runs = collect(jobs), {}
    for name, run in sweep.runs.items():
        finished = results[name]
        metrics = sorted({metric for result in finished.values() for metric in result.metrics})
        spreads = {m: spread(values_of(results, name, m).values()) for m in metrics}
        runs[name] = dict(
            config=run.config,
            overrides=run.overrides,
            test_of=run.test_of,
            planned_seeds=list(run.seeds),
            seeds={
                seed: dict(
                    metrics=result.metrics,
                    seconds=result.seconds,
                    epochs=result.epochs,
                    split=result.split,
                    records=[
                        {k: v for k, v in r.items() if k != 'metrics'} for r in result.records
                    ],
                )
                for seed, result in finished.items()
            },
            mean={m: s.mean for m, s in spreads.items() if s},
            deviation={m: s.deviation for m, s in spreads.items() if s},
        )
    return dict(title=sweep.title, sweep=sweep.path.name, runs=runs)


def lost_results(sweep: Sweep, jobs: Sequence[Job]) -> list[str]:
    """Planned results that the tables beside the sweep file have and the work directories lack.

    Raises:
        ValueError: for tables (the JSON file) that cannot be read.
    """
    path, results = sweep.path.with_suffix('.json'), collect(jobs)
    if not path.exists():
        return []
    try:
        written = json.loads(path.read_text(encoding='utf-8'))['runs']
        seeds = {name: run['seeds'].keys() for name, run in written.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f'{path}: expected tables of tools/sweep.py: {error!r}') from error
    return [
        f'{name} seed {seed}'
        for name, run in sweep.runs.items()
        for seed in run.seeds
        if str(seed) in seeds.get(name, ()) and seed not in results[name]
    ]


def write_report(sweep: Sweep, jobs: Sequence[Job], folder: Path | None = None) -> list[Path]:
    """Write the Markdown and the JSON file; returns their paths.

    Args:
        sweep: The sweep.
        jobs: All of its jobs.
        folder: Where to; beside the sweep file by default.
    """
    base = (folder or sweep.path.parent) / sweep.path.name
    markdown, data = base.with_suffix('.md'), base.with_suffix('.json')
    text = render_markdown(sweep, jobs)
    content = json.dumps(report_json(sweep, jobs), indent=2, ensure_ascii=False, default=str)
    base.parent.mkdir(parents=True, exist_ok=True)
    markdown.write_text(text, encoding='utf-8')
    data.write_text(content + '\n', encoding='utf-8')
    return [markdown, data]
