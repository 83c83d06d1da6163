"""A data report as tables in the terminal, and as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmmlc.datasets.transforms import LoadImage
from mmmlc.neutral import safe_line, write_csv
from mmmlc.visualization.contact_sheet import choose_images, draw_contact_sheet
from mmmlc.visualization.label_plots import most_frequent, plot_cooccurrence, plot_frequencies

from .files import ELONGATED, SHORT_SIDE
from .report import DataReport, LabelCounts, Problem, Split

KINDS = {
    'empty': 'splits that cannot be learned from or measured',
    'missing': 'missing files',
    'broken': 'broken files',
    'duplicate': 'images again in the same split',
    'leak': 'images also in another split',
}
# Not wrong, but perhaps not meant.
NOTES = {
    'absent': 'notes on classes that splits lack',
    'constant': 'images of one colour',
    'mode': 'images of unusual modes',
    'orientation': 'images with an EXIF orientation',
    'shape': f'images narrower than {SHORT_SIDE} pixels, or {ELONGATED} times longer than wide',
}
EXAMPLES = 5  # of each note in the terminal
# Up to so many classes the co-occurrence is written as a matrix, above as the pairs that occur.
MOST_IN_MATRIX = 300


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
        **{kind: len(report.of_kind(kind, split.name)) for kind in (*KINDS, *NOTES)},
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
            _print_line(console, problem)
        if most is not None and len(problems) > most:
            console.print(f'  and {len(problems) - most:,} more, in problems.csv')
    _print_notes(report, console)


def _print_line(console: Console, problem: Problem) -> None:
    place = f'{problem.split}: {problem.path}: ' if problem.path else ''
    line = safe_line(place + problem.detail)
    console.print(f'  {line}', markup=False, highlight=False, soft_wrap=True)


def _print_notes(report: DataReport, console: Console) -> None:
    """Of each note what was found how often, and examples."""
    for kind, title in NOTES.items():
        notes = report.of_kind(kind)
        if not notes:
            continue
        console.print(f'[bold]{len(notes):,} {title}[/]')
        if kind in ('mode', 'orientation'):
            for text, count in Counter(note.detail for note in notes).most_common(EXAMPLES):
                console.print(f'  {count:,}: {safe_line(text)}', markup=False, highlight=False)
        for note in notes[:EXAMPLES]:
            _print_line(console, note)


def _print_classes(report: DataReport, console: Console, most: int | None) -> None:
    header, *rows = _class_rows(report)
    table = Table(title='Images with the class, most frequent first')
    for number, name in enumerate(header):
        table.add_column(escape(name), justify='right' if number else 'left')
    rows.sort(key=lambda row: -row[1])
    shown = rows if most is None or len(rows) <= 2 * most else [*rows[:most], None, *rows[-most:]]
    for row in shown:
        table.add_row(*(['…'] if row is None else (escape(safe_line(cell)) for cell in row)))
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
            split ``cooccurrence_<split>.{csv,png}`` and ``contact_<split>.jpg``. The CSV is a
            matrix of all classes up to 300 of them, and above a list of the pairs that occur, the
            most frequent first: two classes, images with both. Plots show a part of many classes,
            as their titles say.
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
    write_csv(files[1], [['kind', 'split', 'path', 'detail'], *rows])
    if report.counts:
        files += _write_labels(report, out_dir)
    for split in report.splits:
        if path := _write_sheet(report, split, out_dir, sheet):
            files.append(path)
    return files


def _write_labels(report: DataReport, out_dir: Path) -> list[Path]:
    rows = _class_rows(report)
    write_csv(out_dir / 'labels.csv', rows)
    files = [out_dir / 'labels.csv', out_dir / 'labels.png']
    shares = {}
    for split in report.splits:
        if split.name in report.counts:
            column = rows[0].index(split.name)
            counts = np.array([row[column] for row in rows[1:]])
            shares[split.name] = 100 * counts / len(split.paths)
    plot_frequencies([row[0] for row in rows[1:]], shares, files[1])
    for split in report.splits:
        if split.name in report.counts:
            files += _write_pairs(split, report.counts[split.name], out_dir)
    return files


def _write_pairs(split: Split, counts: LabelCounts, out_dir: Path) -> list[Path]:
    """Co-occurrence as a table and as a plot."""
    stem = f'cooccurrence_{_stem(split)}'
    table, picture = out_dir / f'{stem}.csv', out_dir / f'{stem}.png'
    names = split.classes
    if len(names) <= MOST_IN_MATRIX:
        matrix = zip(names, counts.matrix(np.arange(len(names))).tolist(), strict=True)
        write_csv(table, [['class', *names], *([name, *row] for name, row in matrix)])
    else:
        order = np.argsort(-counts.together, kind='stable')
        columns = (*counts.pairs[order].T.tolist(), counts.together[order].tolist())
        rows = ((names[a], names[b], images) for a, b, images in zip(*columns, strict=True))
        write_csv(table, chain([('class', 'other class', 'images')], rows))
    if not counts.positive.any():
        return [table]
    shown = most_frequent(counts.positive)
    left_out = int((counts.positive > 0).sum()) - len(shown)
    plot_cooccurrence(
        [names[label] for label in shown],
        counts.matrix(shown),
        f'{split.name} (number of images)'
        + (f', {left_out} rarer classes left out' if left_out else ''),
        picture,
    )
    return [table, picture]


def _write_sheet(report: DataReport, split: Split, out_dir: Path, count: int) -> Path | None:
    good = [i for i, path in enumerate(split.paths) if report.files[path].kind == 'good']
    if not good or count < 1:
        return None
    labels = [split.labels[i] for i in good]
    chosen = [good[i] for i in choose_images(labels, len(split.classes), count)]
    texts = [_texts(split, i) for i in chosen]
    title = f'{split.name}: {len(chosen):,} of {len(split.paths):,} images'
    path = out_dir / f'contact_{_stem(split)}.jpg'
    load = LoadImage(**split.loader).picture
    paths = [split.paths[i] for i in chosen]
    draw_contact_sheet(paths, texts, title, load=load).save(path, quality=90)
    return path


def _texts(split: Split, index: int) -> Sequence[str]:
    names = [safe_line(split.classes[label]) for label in split.labels[index]]
    names += [safe_line(f'{split.classes[label]}?') for label in split.unknown[index]]
    return names or ['(no label)']


def _stem(split: Split) -> str:
    return split.name.replace(', ', '_')
