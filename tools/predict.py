"""Name what is in photographs: by a model that is ready, or one of a training.

python tools/predict.py coco80_lite0 photos/ --out labels.csv --show-dir pictures
python tools/predict.py work_dirs/mcar_r50_own photos/ 'more/*.jpg' --out labels.html
python tools/predict.py CONFIG --checkpoint FILE.pth photos/ --out labels.json

Without --out it prints a line for each image. Images that cannot be read are left out and named at
the end; the exit status is then 3.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmmlc.neutral import safe_file_name, safe_line
from mmmlc.ready import Prediction, ReadyModel, get_model
from mmmlc.ready.sources import find_images
from mmmlc.ready.writers import Write, prediction_file

_NAMED = 10  # unreadable files that are named


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='name or folder of a model, work directory, or config')
    parser.add_argument('images', nargs='+', help='files, folders (and those below) or patterns')
    parser.add_argument('--checkpoint', metavar='FILE', help='(best of the work directory)')
    parser.add_argument('--out', metavar='FILE', help='.json, .jsonl, .csv, .parquet or .html')
    parser.add_argument('--show-dir', metavar='DIR', help='pictures with labels and regions')
    parser.add_argument('--top', type=int, metavar='K', help='print the K best classes instead')
    parser.add_argument('--batch-size', type=int, default=16, help='(16)')
    parser.add_argument('--threads', type=int, default=2, help='that read images (2)')
    parser.add_argument('--device', default='cpu', help='(cpu) or cuda, cuda:1 ...')
    parser.add_argument('--amp', action='store_true', help='bfloat16')
    args = parser.parse_args(arguments)
    for name in ('batch_size', 'top'):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} is {value}, expected at least 1')
    return args


def line(found: Prediction, top: int | None) -> str:
    """An image in a line: its labels, or its best classes, with their scores."""
    named = [(name, found.scores[name]) for name in found.labels] if top is None else found.top(top)
    words = ', '.join(f'{safe_line(name)} {score:.2f}' for name, score in named)
    return f'{safe_line(found.image)}: {words or "no label"}'


@contextlib.contextmanager
def output(args: argparse.Namespace, model: ReadyModel) -> Iterator[Write]:
    """What is done with each prediction."""
    if args.out is None:
        yield lambda found: print(line(found, args.top))
        return
    with prediction_file(args.out, model.classes) as write:
        yield write


def progress_bar(total: int, quiet: bool) -> Progress:
    """On the terminal's error output, with rate and time left."""
    rate = TextColumn('{task.fields[rate]}')
    columns = (BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=quiet)
    bar.add_task('', total=total, rate='')
    return bar


def main(arguments: list[str] | None = None) -> int:
    """Predict; the exit status."""
    args = parse_args(arguments)
    try:
        paths = find_images(args.images)
        model = get_model(args.model, args.device, args.checkpoint, args.amp)
        return predict(args, model, paths)
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f'predict.py: {error}')


def predict(args: argparse.Namespace, model: ReadyModel, paths: list[str]) -> int:
    """Write what the model says of image files; 3 if some could not be read."""
    broken: list[str] = []
    done = 0
    bar = progress_bar(len(paths), quiet=args.out is None or not sys.stderr.isatty())
    with output(args, model) as write, bar:
        samples = model.samples(
            paths, args.batch_size, args.threads, lambda error: broken.append(str(error))
        )
        for sample in samples:
            write(model.prediction_of(sample))
            if args.show_dir:
                folder = Path(args.show_dir)
                folder.mkdir(parents=True, exist_ok=True)
                name = f'{done:05d}_{safe_file_name(Path(sample.img_path).stem)}.jpg'
                model.draw(sample.img_path, sample).save(folder / name, quality=92)
            done += 1
            task = bar.tasks[0]
            rate = f'{done / task.elapsed:.1f} images/s' if task.elapsed else ''
            bar.update(task.id, completed=done + len(broken), rate=rate)
    report(args, done, broken)
    return 3 if broken else 0


def report(args: argparse.Namespace, done: int, broken: list[str]) -> None:
    """Say on the error output what was done and what was not."""
    where = '' if args.out is None else f' in {args.out}'
    print(f'{done:,} of {done + len(broken):,} images{where}', file=sys.stderr)
    for text in broken[:_NAMED]:
        print(f'left out: {safe_line(text)}', file=sys.stderr)
    if len(broken) > _NAMED:
        print(f'left out: {len(broken) - _NAMED:,} more', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
