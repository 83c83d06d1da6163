"""Results of a sweep's finished runs: JSON with every seed, and Markdown tables made from it.

Percent, as the metrics are.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from .comparisons import compare_runs, comparison_parts, table_text
from .plan import Job
from .sweep_file import Sweep, TableSpec

NOTES = """\
- Tested on {splits}, with the weights of the last epoch unless a run names another checkpoint.
- Mean ± sample standard deviation over the seeds. A row of 1 seed has no spread: read its \
differences with that in mind. Differences are taken seed by seed.
- Time: seconds of one seed, training and test with their start-up; of a row that only tests, the \
test.
- Commit {commits}; torch {torch}; {machines}."""


def results_of(sweep: Sweep, jobs: Sequence[Job]) -> dict:
    """Every seed of every finished test, not rounded: what the tables are made of."""
    runs = {
        name: dict(
            config=run.config,
            overrides=run.overrides,
            test_of=run.test_of,
            planned_seeds=list(run.seeds),
            seeds={},
        )
        for name, run in sweep.runs.items()
    }
    for job in jobs:
        if job.kind == 'test' and (record := job.record()) is not None:
            runs[job.run.name]['seeds'][str(job.seed)] = _seed(job, record)
    for run in runs.values():
        names = sorted({name for seed in run['seeds'].values() for name in seed['metrics']})
        values = {name: [*values_of(run, name).values()] for name in names}
        run['mean'] = {name: statistics.fmean(v) for name, v in values.items() if v}
        run['deviation'] = {name: deviation(v) for name, v in values.items() if v}
    results = dict(title=sweep.title, sweep=sweep.path.name, runs=runs)
    if comparisons := compare_runs(sweep, jobs):
        results['comparisons'] = comparisons
    return results


def _seed(job: Job, record: dict) -> dict:
    trained = job.needs[-1].record()
    records = [record] if job.run.test_of or trained is None else [trained, record]
    dataset = job.config.test_dataloader.dataset
    name = dataset.get('ann_file') or dataset.get('split') or '?'
    split = f'{dataset.get("data_root") or ""}/{name}'
    if dataset.get('indices'):
        split += f', indices {dataset["indices"]}'
    return dict(
        metrics=record['metrics'],
        seconds=sum(r['seconds'] for r in records),
        epochs=(job.config.get('train_cfg') or {}).get('max_epochs'),
        split=split.strip('/'),
        records=[{k: v for k, v in r.items() if k != 'metrics'} for r in records],
    )


def values_of(run: dict, metric: str) -> dict[str, float]:
    """A metric of a run by seed, where it is known."""
    found = {seed: result['metrics'].get(metric) for seed, result in run['seeds'].items()}
    return {seed: value for seed, value in found.items() if value is not None}


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None of a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def spread_text(values: Iterable[float], sign: str = '') -> str:
    """Mean and sample standard deviation; a dash if there is no value.

    >>> spread_text([1.0, 2.0, 6.0]), spread_text([1, 3], '+'), spread_text([5]), spread_text([])
    ('3.0 ± 2.6', '+2.0 ± 1.4', '5.0', '-')
    """
    values = list(values)
    if not values:
        return '-'
    text = f'{statistics.fmean(values):{sign}.1f}'
    return text if len(values) == 1 else f'{text} ± {deviation(values):.1f}'


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


def render(sweep: Sweep, results: dict) -> str:
    """The page of :func:`results_of`.

    Raises:
        ValueError: for a metric that no finished run has; names those there are.
    """
    runs = results['runs']
    finished = [seed for run in runs.values() for seed in run['seeds'].values()]
    known = {metric for seed in finished for metric in seed['metrics']}
    for table in sweep.tables:
        if known and (unknown := [m for m in table.metrics if m not in known]):
            raise ValueError(
                f'{sweep.path}: table {table.title!r}: no run has a metric {unknown[0]!r}, '
                f'expected one of {sorted(known)}'
            )
    missing = [
        f'{name} seed {seed}'
        for name, run in runs.items()
        for seed in run['planned_seeds']
        if str(seed) not in run['seeds']
    ]
    parts = [
        f'<!-- Written by tools/sweep.py from {sweep.path.name}; changes here are lost. -->',
        f'# {sweep.title}',
        sweep.text.strip(),
        _notes(finished),
        *(part for table in sweep.tables for part in _table(table, runs)),
        *comparison_parts(sweep, results.get('comparisons', [])),
        f'Not finished: {", ".join(missing)}.' if missing else '',
    ]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _notes(finished: list[dict]) -> str:
    if not finished:
        return 'No run has finished yet.'
    records = [record for seed in finished for record in seed['records']]

    def distinct(text: str, items: list[dict]) -> str:
        return ', '.join(sorted({text.format(**item) for item in items}))

    changes = {True: ' with uncommitted changes', False: ''}
    commits = [dict(r, changes=changes[r['uncommitted']]) for r in records]
    return NOTES.format(
        splits=distinct('{split}', finished),
        commits=distinct('{commit}{changes}', commits),
        torch=distinct('{torch}', records),
        machines=distinct('{device}, cores: {cores}, threads: {threads}', records),
    )


def _table(table: TableSpec, runs: dict) -> list[str]:
    main, base = table.metrics[0], table.difference_to
    labels = {run: label for label, run in reversed(table.rows.items())}
    difference = [f'{main} minus {labels.get(base, base)}'] if base else []
    head = ['', main, *difference, *table.metrics[1:], *table.published, 'epochs', 'seeds']
    lines = [[*head, 'time (s)'], ['---'] * (len(head) + 1)]
    for label, name in table.rows.items():
        run = runs[name]
        cells = [spread_text(values_of(run, metric).values()) for metric in table.metrics]
        if base:
            cells.insert(1, '' if name == base else _difference(run, runs[base], main))
        cells += [str(numbers.get(label, '')) for numbers in table.published.values()]
        lines.append([label, *cells, *_facts(run)])
    return [f'## {table.title}', table.text.strip(), table_text(lines), _order(table, runs)]


def _difference(run: dict, base: dict, metric: str) -> str:
    """Seed by seed, over the seeds that both have."""
    ours, theirs = values_of(run, metric), values_of(base, metric)
    values = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    one = len(values) == 1 and len(base['seeds']) > 1
    return spread_text(values, '+') + (' (1 seed)' if one else '')


def _facts(run: dict) -> list[str]:
    """Epochs, seeds and time of a row."""
    finished, planned = list(run['seeds'].values()), len(run['planned_seeds'])
    seeds = f'{planned} seed{"s" * (planned > 1)}'
    if len(finished) < planned:
        seeds = f'{len(finished)} of {seeds}'
    if not finished:
        return ['', seeds, '']
    epochs = ', '.join(sorted({str(seed['epochs']) for seed in finished}))
    return [epochs, seeds, f'{statistics.fmean(seed["seconds"] for seed in finished):.0f}']


def _order(table: TableSpec, runs: dict) -> str:
    """How the order of the means compares with the published ones."""
    main = table.metrics[0]
    values = {label: values_of(runs[run], main).values() for label, run in table.rows.items()}
    means = {label: statistics.fmean(found) for label, found in values.items() if found}
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


def lost_results(sweep: Sweep, results: dict) -> list[str]:
    """Planned results that the tables beside the sweep file have and these results lack.

    Raises:
        ValueError: for tables (the JSON file) that cannot be read.
    """
    path = sweep.path.with_suffix('.json')
    if not path.exists():
        return [f'no {path.name}'] if path.with_suffix('.md').exists() else []
    try:
        written = json.loads(path.read_text(encoding='utf-8'))['runs']
        seeds = {name: run['seeds'].keys() for name, run in written.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f'{path}: expected tables of tools/sweep.py: {error!r}') from error
    return [
        f'{name} seed {seed}'
        for name, run in results['runs'].items()
        for seed in map(str, run['planned_seeds'])
        if seed in seeds.get(name, ()) and seed not in run['seeds']
    ]


def write_report(sweep: Sweep, results: dict, folder: Path) -> list[Path]:
    """Write the Markdown and the JSON file to a folder; returns their paths."""
    base = folder / sweep.path.name
    text = render(sweep, results)
    content = json.dumps(results, indent=2, ensure_ascii=False, default=str)
    folder.mkdir(parents=True, exist_ok=True)
    base.with_suffix('.md').write_text(text, encoding='utf-8')
    base.with_suffix('.json').write_text(content + '\n', encoding='utf-8')
    return [base.with_suffix('.md'), base.with_suffix('.json')]
