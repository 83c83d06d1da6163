"""Is one method better than another on the same images? A paired bootstrap over images and seeds.

    python tools/compare.py --a results/mcar/*/predictions.npz --b results/plain/*/predictions.npz

The files are those of ``tools/test.py --out DIR`` or ``tools/svm_eval.py``, one for each seed; the
folders will do. See docs/testing.md.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmmlc.evaluation.bootstrap import MEASURES, Difference, cells_of, columns_of, compare, remarks
from mmmlc.evaluation.prediction_files import Predictions, align_predictions, read_predictions
from mmmlc.neutral import safe_line


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, text in (('a', 'is this one'), ('b', 'better than this one?')):
        parser.add_argument(
            f'--{name}', nargs='+', required=True, metavar='FILE', help=f'{text} Files or folders'
        )
    parser.add_argument('--names', nargs=2, metavar=('A', 'B'), help='(their common folders)')
    parser.add_argument('--measure', nargs='+', choices=MEASURES, default=MEASURES)
    parser.add_argument('--resamples', type=int, default=2000, help='(2000)')
    parser.add_argument('--seed', type=int, default=0, help='of the resamples (0)')
    parser.add_argument('--out', metavar='FILE.md', help='write the table as Markdown, too')
    return parser.parse_args(arguments)


def find(patterns: list[str], option: str) -> list[str]:
    """Files and folders of names and patterns, each once.

    Raises:
        FileNotFoundError: for a pattern that fits nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        fitting = sorted(glob.glob(pattern)) or [pattern]
        if not Path(fitting[0]).exists():
            raise FileNotFoundError(f'{option} {pattern}: no such file')
        found += fitting
    return list(dict.fromkeys(found))


def name_of(files: list[str]) -> str:
    """The folder that the files have in common."""
    folders = [path if Path(path).is_dir() else os.path.dirname(path) or '.' for path in files]
    return os.path.relpath(os.path.commonpath([os.path.abspath(f) for f in folders]))


def read(paths: list[list[str]]) -> list[list[Predictions]]:
    """Predictions of both methods, on the images of the first file."""
    flat = [path for files in paths for path in files]
    aligned = align_predictions([read_predictions(path) for path in flat], flat)
    return [aligned[: len(paths[0])], aligned[len(paths[0]) :]]


def show(names: list[str], found: list[Difference], notes: list[str], out: str | None) -> None:
    """Print the table, and write it as Markdown."""
    head, rows = columns_of(*names), [cells_of(row) for row in found]
    table = Table(*map(safe_line, head))
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    if out:
        lines = [head, ['---'] * len(head), *rows]
        text = '\n'.join(f'| {" | ".join(map(safe_line, cells))} |' for cells in lines)
        Path(out).write_text(text + '\n\n' + '\n'.join(notes) + '\n', encoding='utf-8')


def main(arguments: list[str] | None = None) -> list[Difference]:
    """Compare."""
    args = parse_args(arguments)
    try:
        paths = [find(args.a, '--a'), find(args.b, '--b')]
        methods = read(paths)
        found = compare(*methods, args.measure, args.resamples, args.seed)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'compare: {error}')
    names = args.names or [name_of(files) for files in paths]
    images, (a, b) = len(methods[0][0].images), map(len, methods)
    show(names, found, remarks(names, images, a, b, args.resamples), args.out)
    return found


if __name__ == '__main__':
    main()
