"""Find the EdgeBoxes proposals of a data set and write them to one file.

    python tools/extract_proposals.py CONFIG data/proposals/voc07_trainval.prop
    python tools/extract_proposals.py CONFIG OUT --split val --shard $SLURM_ARRAY_TASK_ID/8

Run again after a kill, it goes on with the images that are not finished. The shard that ends last
writes OUT. Exit code: 0 if all is well, 3 if images were broken (listed at the end; run again once
they are repaired), 2 for a wrong option, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmmlc.engine.command_line import add_config_options
from mmmlc.engine.launch import load_config
from mmmlc.proposals.edge_boxes import EdgeBoxes
from mmmlc.proposals.extract import Extraction, ImageExtractor, Outcome, list_images

EXIT_BROKEN = 3


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _shard(text: str) -> tuple[int, int]:
    """(i, n) of 'i/n'."""
    i, slash, n = text.partition('/')
    if not (slash and i.isdecimal() and n.isdecimal() and 1 <= int(i) <= int(n)):
        raise argparse.ArgumentTypeError(f'{text!r}, expected i/n with i from 1 to n, e.g. 1/8')
    return int(i), int(n)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}, expected an integer of at least 1')
    return int(text)


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file; its data set is taken')
    parser.add_argument('out', metavar='OUT', help='proposals file to write')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train')
    parser.add_argument('--shard', type=_shard, default=(1, 1), metavar='i/n', help='part i of n')
    parser.add_argument('--workers', type=_positive, default=_cores(), help='(%(default)s)')
    parser.add_argument(
        '--model', help='structured-edge model (model.yml.gz of opencv_extra); default: gradient'
    )
    parser.add_argument('--max-boxes', type=_positive, default=2000, help='(%(default)s)')
    parser.add_argument(
        '--min-area', type=float, default=1000.0, help='least area of a box, pixels (%(default)s)'
    )
    add_config_options(parser, 'train_dataloader.dataset.data_root=/data/voc')
    return parser.parse_args(arguments)


def _track(console: Console, results: Iterator, done: int, total: int) -> Iterable:
    """Pass the results on, under a progress bar."""
    columns = (TextColumn('EdgeBoxes'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # The workers start with the first result asked for, ahead of the progress bar's thread:
    # a process with threads should not be forked.
    first = next(results)
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task('', total=total, completed=done + 1)
        yield first
        for result in results:
            progress.advance(bar)
            yield result


def _report(outcome: Outcome, args: argparse.Namespace) -> int:
    """Print what came out; the exit code."""
    shard = '' if args.shard[1] == 1 else f' of shard {args.shard[0]}/{args.shard[1]}'
    kept = f', {outcome.kept:,} of them finished before' if outcome.kept else ''
    print(f'{outcome.total - len(outcome.broken):,} images{shard} finished{kept}')
    if outcome.missing:
        print(f'{outcome.missing:,} images of other shards are missing; the last writes {args.out}')
    else:
        print(f'{args.out}: {os.path.getsize(args.out):,} bytes')
    if not outcome.broken:
        return 0
    print(f'{len(outcome.broken):,} broken images, without proposals:', file=sys.stderr)
    for name, reason in outcome.broken.items():
        print(f'  {name}: {reason}', file=sys.stderr)
    return EXIT_BROKEN


def main(arguments: list[str] | None = None) -> int:
    """Extract."""
    args = parse_args(arguments)
    try:
        options = dict(model=args.model, max_boxes=args.max_boxes, min_area=args.min_area)
        parameters = EdgeBoxes(**options).parameters
        images = list_images(load_config(args.config, args.cfg_options), args.split)
        extraction = Extraction(images, args.out, parameters, args.shard)
        threads = cv2.getNumThreads()
        cv2.setNumThreads(0)
        make = partial(_make_extractor, options, images.loader)
        outcome = extraction.extract(make, args.workers, partial(_track, Console(stderr=True)))
        cv2.setNumThreads(threads)
    except (ValueError, FileNotFoundError, ImportError, RuntimeError) as error:
        print(f'extract_proposals: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'interrupted: the same command goes on with {args.out}', file=sys.stderr)
        return 130
    if extraction.discarded:
        print(f'{extraction.discarded} bytes of a torn record were discarded', file=sys.stderr)
    return _report(outcome, args)


def _make_extractor(options: dict, loader: dict) -> ImageExtractor:
    return ImageExtractor(EdgeBoxes(**options), loader)


if __name__ == '__main__':
    sys.exit(main())
