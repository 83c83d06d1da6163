"""Measured numbers of a metafile that come from the JSON of a sweep, written into its text."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

# "Source: FILE RUN", or "Source: FILE RUN beside BASELINE", and the lines made from it below.
MADE = ('Metrics', 'Spread', 'Baseline', 'Difference', 'Seeds', 'Finished', 'Commits')
ENTRY = re.compile(
    rf'^(?P<indent> +)Source: (?P<source>.+)\n(?P<made>(?:(?P=indent)(?:{"|".join(MADE)}): .+\n)*)',
    re.MULTILINE,
)
SOURCE = re.compile(r'(?P<file>\S+\.json) (?P<run>\S+)(?: beside (?P<baseline>\S+))?')


def with_numbers_of_runs(text: str, root: Path) -> str:
    """The text of a metafile with the numbers below each ``Source`` as the JSON has them.

    The measures are those of the ``Metrics`` that are there, mAP without.

    Raises:
        ValueError: a source that is none, or a run, seed or measure that the JSON lacks.
    """
    return ENTRY.sub(lambda match: _entry(match, root), text)


def _entry(match: re.Match, root: Path) -> str:
    source = SOURCE.fullmatch(match['source'])
    if source is None:
        raise ValueError(f'Source: {match["source"]}, expected "FILE.json RUN [beside BASELINE]"')
    runs = json.loads((root / source['file']).read_text(encoding='utf-8'))['runs']
    for name in filter(None, (source['run'], source['baseline'])):
        if not runs.get(name, {}).get('seeds'):
            raise ValueError(f'Source: {match["source"]}: {name!r} has no result there')
    old = re.search(r'Metrics: \{(.*)\}', match['made'])
    measures = re.findall(r'(\w+):', old[1]) if old else ['mAP']
    lines = _lines(runs[source['run']], runs.get(source['baseline']), measures)
    body = ''.join(f'{match["indent"]}{key}: {value}\n' for key, value in lines.items() if value)
    return f'{match["indent"]}Source: {match["source"]}\n{body}'


def _lines(run: dict, baseline: dict | None, measures: list[str]) -> dict[str, str]:
    seeds, main = run['seeds'], measures[0]
    values = {m: [seed['metrics'][m] for seed in seeds.values()] for m in measures}
    made = dict(Metrics=_mapping({m: statistics.fmean(v) for m, v in values.items()}))
    if len(seeds) > 1:
        made['Spread'] = _mapping({m: statistics.stdev(v) for m, v in values.items()})
    if baseline is not None:
        theirs = {key: seed['metrics'][main] for key, seed in baseline['seeds'].items()}
        ours = {key: seed['metrics'][main] for key, seed in seeds.items()}
        made['Baseline'] = spread([*theirs.values()])
        common = [key for key in ours if key in theirs]
        made['Difference'] = spread([ours[key] - theirs[key] for key in common], '+')
        if len(common) == 1 < len(theirs):
            made['Difference'] += f' (seed {common[0]})'
    records = [record for seed in seeds.values() for record in seed['records']]
    commits = sorted({_commit(record) for record in records})
    made['Seeds'] = ', '.join(seeds)
    made['Finished'] = max(record['finished'] for record in records)[:10]
    made['Commits'] = ', '.join(commits)
    return made


def _mapping(numbers: dict[str, float]) -> str:
    return '{' + ', '.join(f'{key}: {value:.1f}' for key, value in numbers.items()) + '}'


def spread(values: list[float], sign: str = '') -> str:
    """Mean and sample standard deviation, for example ``71.3 ± 0.6``; of one value the value."""
    mean = f'{statistics.fmean(values):{sign}.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean


def _commit(record: dict) -> str:
    return record['commit'] + (' with changes' if record['uncommitted'] else '')
