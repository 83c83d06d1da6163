"""Pairs of runs of a sweep compared: differences, their intervals and verdicts.

Percent, as the metrics are.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmmlc.evaluation.bootstrap import (
    MEASURES,
    Difference,
    cells_of,
    columns_of,
    compare,
    remarks,
)
from mmmlc.evaluation.prediction_files import align_predictions, read_predictions

from .plan import Job
from .sweep_file import Sweep

RESAMPLES = 2000


def compare_runs(sweep: Sweep, jobs: Sequence[Job]) -> list[dict]:
    """A comparison per pair of ``compare`` of which both runs have seeds with predictions.

    Raises:
        ValueError: for a pair that was not tested on the same images; names the files.
    """
    found = []
    for pair in sweep.compare:
        tests = [
            [j for j in jobs if j.kind == 'test' and j.run.name == name and j.is_finished()]
            for name in pair
        ]
        if all(tests):
            found.append(_compare(sweep, pair, tests))
    return found


def _compare(sweep: Sweep, pair: tuple[str, str], tests: list[list[Job]]) -> dict:
    paths = [job.predictions for jobs in tests for job in jobs]
    files = align_predictions([read_predictions(path) for path in paths], paths)
    count = len(tests[0])
    shown = {name for table in sweep.tables for name in table.metrics}
    measures = [name for name in MEASURES if name in shown] or ['mAP']
    rows = compare(files[:count], files[count:], measures, RESAMPLES)
    return dict(
        runs=list(pair),
        seeds=[[job.seed for job in jobs] for jobs in tests],
        images=len(files[0].images),
        resamples=RESAMPLES,
        differences=[row._asdict() | dict(verdict=row.verdict) for row in rows],
    )


def comparison_parts(sweep: Sweep, comparisons: list[dict]) -> list[str]:
    """The parts of a page about :func:`compare_runs`; none where nothing is to be compared."""
    parts = ['## Comparisons'] if sweep.compare else []
    for found in comparisons:
        names, seeds = found['runs'], map(len, found['seeds'])
        head = columns_of(*names)
        fields = [{name: row[name] for name in Difference._fields} for row in found['differences']]
        rows = [cells_of(Difference(**row)) for row in fields]
        parts += [
            table_text([head, ['---'] * len(head), *rows]),
            ' '.join(remarks(names, found['images'], *seeds, found['resamples'])),
        ]
    done = [found['runs'] for found in comparisons]
    missing = [f'{a} with {b}' for a, b in sweep.compare if [a, b] not in done]
    if missing:
        parts.append(f'Not compared, for want of predictions: {", ".join(missing)}.')
    return parts


def table_text(lines: list[list[str]]) -> str:
    """Cells as a Markdown table; the second line are the dashes."""
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)
