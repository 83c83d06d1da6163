"""A data report as tables in the terminal, and as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmmlc.visualization.contact_sheet import choose_images, draw_contact_sheet
from mmmlc.visualization.label_plots import plot_cooccurrence, plot_frequencies

from .report import DataReport, Split

KINDS = {
    'missing': 'missing files',
    'broken': 'broken files',
    'duplicate': 'images again in the same split',
    'leak': 'images also in another split',
}


def summarise(report: DataReport, split: Split) -> dict[str, int | float | str]:
    """The numbers of a split."""
    sizes = [report.files[p].size for p in split.paths if report.files[p].kind == 'good']
    sides = np.array(sizes or [(0, 0)])
    labels, unknown = (sum(map(len, lists)) for lists in (split.labels, split.unknown))
    return {
        'split': split.name,
        'source': split.source,
        'images': len(split.paths),
        'classes': len(split.classes),
        'labels': labels,
        'labels per image': round(labels / len(split.paths), 2),
        'without labels': len(split.unlabelled),
        'unknown': unknown,
        **{kind: len(report.of_kind(kind, split.name)) for kind in KINDS},
        'median width': int(np.median(sides[:, 0])),
        'median height': int(np.median(sides[:, 1])),
        'shortest side': int(sides.min()),
        'longest side': int(sides.max()),
    }


def print_report(report: DataReport, console: Console, most: int | None = 20) -> None:
    """Print the tables.

    Args:
        report: what was found.
        console: where to.
        most: lines of each list of problems, and classes; None prints all.
    """
    rows = [summarise(report, split) for split in report.splits]
    table = Table(title='Splits')
    table.add_column('')
    for row in rows:
        table.add_column(escape(str(row['split'])), justify='right', overflow='fold')
    for key in list(rows[0])[1:]:
        cells = [row[key] for row in rows]
        table.add_row(key, *(f'{c:,}' if not isinstance(c, str) else escape(c) for c in cells))
    console.print(table)
    if report.counts:
        _print_classes(report, console, most)
    if not report.same_classes:
        console.print('[bold red]The splits differ in their classes, or in the order of them.')
    for kind, title in KINDS.items():
        problems = report.of_kind(kind)
        if not problems:
            continue
        console.print(f'[bold]{len(problems):,} {title}[/]')
        for problem in problems[:most]:
            line = f'  {problem.split}: {problem.path}: {problem.detail}'
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if most is not None and len(problems) > most:
            console.print(f'  and {len(problems) - most:,} more, in problems.csv')


def _print_classes(report: DataReport, console: Console, most: int | None) -> None:
    header, *rows = _class_rows(report)
    table = Table(title='Images with the class, most frequent first')
    for number, name in enumerate(header):
        table.add_column(escape(name), justify='right' if number else 'left')
    rows.sort(key=lambda row: -row[1])
    shown = rows if most is None or len(rows) <= 2 * most else [*rows[:most], None, *rows[-most:]]
    for row in shown:
        table.add_row(*(['…'] if row is None else (escape(str(cell)) for cell in row)))
    console.print(table)


def _class_rows(report: DataReport) -> list[list]:
    """Header and one row per class: positives and unknown of each split, by class name."""
    named = {s.name: s for s in report.splits if s.name in report.counts}
    names = dict.fromkeys(name for split in named.values() for name in split.classes)
    header, columns = ['class'], []
    for split, counts in report.counts.items():
        for what, values in (('', counts.positive), (' unknown', counts.unknown)):
            if what and not values.any():
                continue
            header.append(f'{split}{what}')
            columns.append(dict(zip(named[split].classes, values.tolist(), strict=True)))
    return [header, *([name, *(column.get(name, 0) for column in columns)] for name in names)]


def write_report(report: DataReport, out_dir: str | Path, sheet: int = 36) -> list[Path]:
    """Write tables, plots and contact sheets.

    Args:
        report: what was found.
        out_dir: Folder of ``summary.json``, ``problems.csv``, ``labels.{csv,png}``, and for each
            split ``cooccurrence_<split>.{csv,png}`` and ``contact_<split>.jpg``.
        sheet: images on a contact sheet.

    Returns:
        The files.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    files = [out_dir / 'summary.json', out_dir / 'problems.csv']
    content = [summarise(report, split) for split in report.splits]
    files[0].write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')
    rows = ([p.kind, p.split, p.path, p.detail] for p in report.problems)
    _write_csv(files[1], [['kind', 'split', 'path', 'detail'], *rows])
    if report.counts:
        files += _write_labels(report, out_dir)
    for split in report.splits:
        if path := _write_sheet(report, split, out_dir, sheet):
            files.append(path)
    return files


def _write_labels(report: DataReport, out_dir: Path) -> list[Path]:
    rows = _class_rows(report)
    _write_csv(out_dir / 'labels.csv', rows)
    files = [out_dir / 'labels.csv', out_dir / 'labels.png']
    shares = {}
    for split in report.splits:
        if split.name in report.counts:
            column = rows[0].index(split.name)
            counts = np.array([row[column] for row in rows[1:]])
            shares[split.name] = 100 * counts / len(split.paths)
    plot_frequencies([row[0] for row in rows[1:]], shares, files[1])
    for split in report.splits:
        if split.name not in report.counts:
            continue
        together = report.counts[split.name].together
        stem = f'cooccurrence_{_file_name(split)}'
        table, picture = out_dir / f'{stem}.csv', out_dir / f'{stem}.png'
        matrix = zip(split.classes, together.tolist(), strict=True)
        _write_csv(table, [['class', *split.classes], *([name, *row] for name, row in matrix)])
        files.append(table)
        if together.any():
            plot_cooccurrence(split.classes, together, f'{split.name} (number of images)', picture)
            files.append(picture)
    return files


def _write_sheet(report: DataReport, split: Split, out_dir: Path, count: int) -> Path | None:
    good = [i for i, path in enumerate(split.paths) if report.files[path].kind == 'good']
    if not good or count < 1:
        return None
    labels = [split.labels[i] for i in good]
    chosen = [good[i] for i in choose_images(labels, len(split.classes), count)]
    texts = [_texts(split, i) for i in chosen]
    title = f'{split.name}: {len(chosen):,} of {len(split.paths):,} images'
    path = out_dir / f'contact_{_file_name(split)}.jpg'
    draw_contact_sheet([split.paths[i] for i in chosen], texts, title).save(path, quality=90)
    return path


def _texts(split: Split, index: int) -> Sequence[str]:
    names = [split.classes[label] for label in split.labels[index]]
    names += [f'{split.classes[label]}?' for label in split.unknown[index]]
    return names or ['(no label)']


def _file_name(split: Split) -> str:
    return split.name.replace(', ', '_')


def _write_csv(path: Path, rows: Iterable[Sequence]) -> None:
    with open(path, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows(rows)
