"""Write ToyScenes, the embedded multi-label data set: images and COCO-format JSON, no download.

    python tools/make_toy_scenes.py                      # data/toy_scenes, 6,000 + 500 of 96 x 96
    python tools/make_toy_scenes.py /tmp/toys --train 200 --val 50 --size 192 --seed 1

Writes OUT/train, OUT/val and OUT/annotations/instances_{train,val}.json. The files depend on the
options only, not on the number of workers. A finished folder is left as it is; an interrupted run
is repeated by the same command.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmmlc.toy_scenes.scenes import SPLITS, VERSION, ToyObject, draw_scene
from mmmlc.toy_scenes.shapes import CLASSES
from mmmlc.whole_files import write_whole

SIZES = (48, 1024)
MARKER = '.unfinished.json'


def check_options(train: int, val: int, size: int, seed: int, workers: int) -> None:
    """Raise ValueError naming the first option that is out of range."""
    limits = {
        '--train': (train, 1, 999_999),
        '--val': (val, 1, 999_999),
        '--size': (size, *SIZES),
        '--seed': (seed, 0, 2**32 - 1),
        '--workers': (workers, 1, 1024),
    }
    for option, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ValueError(f'{option} {value}: expected an integer from {low} to {high}')


def _read(path: Path) -> dict:
    """A JSON object from a file, empty where the file is missing or broken."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_complete(out: Path, parameters: dict) -> bool:
    """True where ``out`` holds all files of a finished run with these parameters."""
    if (out / MARKER).exists():
        return False
    for split in SPLITS:
        content = _read(out / 'annotations' / f'instances_{split}.json')
        if content.get('info', {}).get('parameters') != parameters:
            return False
        present = (
            {entry.name for entry in os.scandir(out / split)} if (out / split).is_dir() else set()
        )
        names = [image['file_name'] for image in content.get('images', ())]
        if len(names) != parameters[split] or not present.issuperset(names):
            return False
    return True


def prepare_folder(out: Path, parameters: dict, force: bool) -> None:
    """Make ``out`` ready to be written: new or empty, of an interrupted same run, or forced.

    ``force`` removes what this tool writes (train, val, annotations) and nothing else.
    Raises FileExistsError where there is other content and ``force`` is off.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f'{out} is not a folder: choose another OUT')
    same_run = _read(out / MARKER) == parameters
    if out.is_dir() and any(out.iterdir()) and not (same_run or force):
        info = _read(out / 'annotations' / 'instances_train.json').get('info', {})
        found = _read(out / MARKER) or info.get('parameters')
        state = 'no ToyScenes' if found is None else f'ToyScenes with {found}'
        if found == parameters:
            state = 'the same ToyScenes, but not complete'
        raise FileExistsError(
            f'{out} holds {state}, asked for {parameters}: '
            'choose another OUT, or replace it with --force'
        )
    for name in (*SPLITS, 'annotations'):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
    write_whole(out / MARKER, json.dumps(parameters).encode())


def write_image(task: tuple[str, int], folder: str, seed: int, size: int) -> list[ToyObject]:
    """Draw and write one image, ``task`` being (split, index); returns its objects."""
    split, index = task
    image, objects = draw_scene(seed, split, index, size)
    path = f'{folder}/{split}/{index:06d}.png'
    if not cv2.imwrite(path, image):
        raise OSError(f'could not write {path}: is the disk full or the folder read-only?')
    return objects


def _start_worker() -> None:
    # Ctrl-C is for the parent, which then cancels the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _draw_all(tasks: list, job: partial, workers: int) -> Iterator[list[ToyObject]]:
    """Objects of every task, in order."""
    if workers == 1:
        yield from map(job, tasks)
        return
    # Spawned workers would each import the whole package again; forking is unsafe on macOS.
    context = get_context('fork' if sys.platform == 'linux' else 'spawn')
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield from pool.map(job, tasks, chunksize=16)
    finally:
        pool.shutdown(cancel_futures=True)


def coco_json(objects: list[list[ToyObject]], split: str, parameters: dict) -> dict:
    """COCO 'instances' of a split from the objects of its images; ids start at 1."""
    size = parameters['size']
    images = [
        {'id': i, 'file_name': f'{i - 1:06d}.png', 'width': size, 'height': size}
        for i in range(1, len(objects) + 1)
    ]
    pairs = [(i, item) for i, items in enumerate(objects, 1) for item in items]
    annotations = [
        {
            'id': number,
            'image_id': image_id,
            'category_id': item.label + 1,
            'bbox': list(item.bbox),
            'area': item.area,
            'iscrowd': 0,
            'visible': item.visible,
        }
        for number, (image_id, item) in enumerate(pairs, 1)
    ]
    categories = [
        {'id': i, 'name': toy.name, 'supercategory': toy.body} for i, toy in enumerate(CLASSES, 1)
    ]
    info = {
        'description': f'ToyScenes, {split}: drawn by tools/make_toy_scenes.py of mmmlc',
        'version': parameters['version'],
        'seed': parameters['seed'],
        'parameters': parameters,
        'bbox': 'x, y, w, h of all of the object inside the image, occluded pixels included',
        'area': 'pixels of the same',
        'visible': 'fraction of these pixels that no other object covers',
    }
    return {
        'info': info,
        'licenses': [],
        'images': images,
        'annotations': annotations,
        'categories': categories,
    }


def make_toy_scenes(
    out: Path | str,
    train: int = 6000,
    val: int = 500,
    size: int = 96,
    seed: int = 0,
    workers: int = 1,
    force: bool = False,
    console: Console | None = None,
) -> bool:
    """Write the data set to ``out``; False where it is already there with the same parameters.

    ``size``: side of the square images in pixels. Raises ValueError for an option out of range,
    FileExistsError where ``out`` holds something else and ``force`` is off.
    """
    check_options(train, val, size, seed, workers)
    out, console = Path(out), console or Console()
    parameters = {'version': VERSION, 'train': train, 'val': val, 'size': size, 'seed': seed}
    if not force and is_complete(out, parameters):
        return False
    prepare_folder(out, parameters, force)
    tasks = [('train', i) for i in range(train)] + [('val', i) for i in range(val)]
    job = partial(write_image, folder=str(out), seed=seed, size=size)
    columns = (TextColumn('ToyScenes'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # The workers start with the first result asked for, ahead of the progress bar's thread:
    # a process with threads should not be forked.
    results = _draw_all(tasks, job, workers)
    objects = [next(results)]
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task('draw', total=len(tasks), completed=1)
        for items in results:
            objects.append(items)
            progress.advance(bar)
    for split, part in zip(SPLITS, (objects[:train], objects[train:]), strict=True):
        path = out / 'annotations' / f'instances_{split}.json'
        write_whole(path, json.dumps(coco_json(part, split, parameters)).encode())
    (out / MARKER).unlink()
    return True


def make_parser() -> argparse.ArgumentParser:
    """Options of the command line."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', nargs='?', default='data/toy_scenes', metavar='OUT')
    parser.add_argument('--train', type=int, default=6000, help='training images (%(default)s)')
    parser.add_argument('--val', type=int, default=500, help='validation images (%(default)s)')
    parser.add_argument('--size', type=int, default=96, help='side in pixels (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='(%(default)s)')
    parser.add_argument('--workers', type=int, default=cores, help='processes (%(default)s)')
    parser.add_argument('--force', action='store_true', help='replace what OUT holds')
    return parser


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    options = parse_args(arguments)
    try:
        written = make_toy_scenes(**vars(options))
    except (ValueError, OSError) as error:
        make_parser().error(str(error))
    except KeyboardInterrupt:
        print(f'interrupted: the same command starts {options.out} again', file=sys.stderr)
        return 130
    counts = f'{options.train} + {options.val} images of {options.size} x {options.size}'
    state = 'written' if written else 'already there with the same parameters, nothing to do'
    print(f'{options.out}: {counts}, {len(CLASSES)} classes, {state}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
