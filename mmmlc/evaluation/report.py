"""Per-class results as a table for the log, CSV, JSON and a bar plot; all values in percent."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar, Protocol

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmmlc.neutral import safe_line, write_csv
from mmmlc.ops.score_accumulator import Evaluation
from mmmlc.plots import save_figure

# Of more classes than this, tables and plots show so many of the best and of the worst.
MOST_ROWS = 300
BEST, WORST = 100, 50


class Row(Protocol):
    """A dataclass whose fields are the columns of a table: a name, then numbers or None."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str: ...
    @property
    def AP(self) -> float | None: ...
    @property
    def positives(self) -> int: ...


@dataclass(frozen=True)
class ClassResult:
    """One class: average precision, then precision, recall and F1 at the threshold, in percent.

    A class without positives has None everywhere.
    """

    name: str
    AP: float | None
    precision: float | None
    recall: float | None
    F1: float | None
    positives: int


def class_results(names: Sequence[str], evaluation: Evaluation) -> list[ClassResult]:
    """Results of all classes, in class order."""
    at_threshold = evaluation.at_threshold
    columns = (evaluation.ap, at_threshold.precision, at_threshold.recall, at_threshold.f1)
    percents = [[None if math.isnan(v) else 100 * v for v in col.tolist()] for col in columns]
    counts = evaluation.positives.tolist()
    return [ClassResult(*row) for row in zip(names, *percents, counts, strict=True)]


def render_table(results: Sequence[Row]) -> str:
    """The results as a plain-text table; '-' for a class without positives.

    Of more than 300 classes the 100 with the highest AP and the 50 with the lowest, in class order.
    """
    count, results = len(results), _best_and_worst(results)
    table = Table()
    table.add_column('class')
    for field in fields(results[0])[1:]:
        table.add_column(field.name, justify='right')
    for result in results:
        name, *values = astuple(result)
        table.add_row(Text(safe_line(name)), *map(_cell, values))  # no markup in names
    text = io.StringIO()
    Console(file=text, width=100).print(table)
    if count > len(results):
        text.write(f'the {BEST} best and the {WORST} worst of {count:,} classes\n')
    return text.getvalue()


def _best_and_worst(results: Sequence[Row]) -> Sequence[Row]:
    """All, in the order given; of many those with the highest and the lowest AP."""
    if len(results) <= MOST_ROWS:
        return results
    valued = [(result.AP, i) for i, result in enumerate(results) if result.AP is not None]
    order = [i for _, i in sorted(valued)]
    return [results[i] for i in sorted({*order[:WORST], *order[-BEST:]})]


def _cell(value: float | None) -> str:
    if value is None:
        return '-'
    return str(value) if isinstance(value, int) else f'{value:.2f}'


def write_report(out_dir: str | Path, results: Sequence[Row], summary: dict[str, object]) -> None:
    """Write ``summary.json`` and ``per_class.{csv,json,png}``, replacing those of before.

    In the CSV, class names that a spreadsheet would run as formulas have ``'`` before them, and
    control characters are written as escapes; the JSON has the names as they are.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    rows = [asdict(result) for result in results]
    for name, content in (('summary', summary), ('per_class', rows)):
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        (out_dir / f'{name}.json').write_text(text + '\n', encoding='utf-8')
    header = [field.name for field in fields(results[0])]
    write_csv(out_dir / 'per_class.csv', [header, *([row[key] for key in header] for row in rows)])
    plot_average_precision(results, out_dir / 'per_class.png')


def _short(name: str, most: int = 40) -> str:
    """A name that leaves room for the bars."""
    return name if len(name) <= most else f'{name[: most - 1]}…'


def plot_average_precision(results: Sequence[Row], path: str | Path) -> None:
    """Horizontal bars of the classes' AP, the best on top, with their mean as a line.

    Of more than 300 classes the 100 best and the 50 worst.
    """
    shown = [(result.AP, result) for result in results if result.AP is not None]
    shown.sort(key=itemgetter(0))
    left_out, valued = len(results) - len(shown), len(shown)
    mean = sum(ap for ap, _ in shown) / valued
    if valued > MOST_ROWS:
        shown = shown[:WORST] + shown[-BEST:]
    values = [ap for ap, _ in shown]
    # A Figure of its own, not pyplot: no global backend or figure list is touched.
    height = 1.2 + 0.22 * len(shown)
    figure = Figure(figsize=(8, height), dpi=120, layout='constrained')
    axes = figure.subplots()
    bars = axes.barh(range(len(shown)), values, color='#4c78a8')
    labels = [f'{_short(safe_line(r.name))} ({r.positives})' for _, r in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=8, parse_math=False)
    axes.axvline(mean, color='#e45756', linestyle='--', linewidth=1)
    blank = {'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.5}
    axes.bar_label(bars, fmt='%.1f', padding=2, fontsize=8, bbox=blank)
    axes.set(xlim=(0, 108), ylim=(-0.7, len(shown) - 0.3), xlabel='average precision (%)')
    axes.spines[['top', 'right']].set_visible(False)
    title = f'mAP {mean:.2f} over {valued} classes (number of positives)'
    if valued > len(shown):
        title += f', the {BEST} best and the {WORST} worst'
    if left_out:
        title += f', {left_out} without positives left out'
    axes.set_title(title, fontsize=10)
    save_figure(figure, path)
