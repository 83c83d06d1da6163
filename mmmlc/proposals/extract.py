"""Proposals of a whole data set: in several processes, in shards, resumed after a kill.

Every finished image becomes a record of an append-only file in the folder ``OUT.parts``, one file
a shard. When the records of all files together cover the data set, they are merged into OUT.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmmlc.datasets.transforms import BrokenImageError, LoadImage
from mmmlc.ops.boxes import to_fractions
from mmmlc.registry import DATASETS

from .edge_boxes import EdgeBoxes
from .records import Record, RecordWriter, scan
from .store import (
    BYTES_PER_BOX,
    ImageProposals,
    ProposalStore,
    encode,
    folder_name,
    image_name,
    write_store,
)


class ImageList(NamedTuple):
    """Images of a data set: path of each name, the name of their folder, options to load them."""

    folder: str
    paths: dict[str, str]
    loader: dict


class Outcome(NamedTuple):
    """What an extraction did.

    ``total``: images of this shard; ``kept``: of these, finished before; ``broken``: name and
    reason; ``missing``: images that other shards have still to do, 0 if OUT is written.
    """

    total: int
    kept: int
    broken: dict[str, str]
    missing: int


def list_images(cfg: Config, split: str) -> ImageList:
    """Images of the data set of a config, in its order, each once.

    Args:
        cfg: With ``{split}_dataloader``; its image loader is taken over, so that boxes refer to the
            image as the pipeline sees it (EXIF orientation).
        split: ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        ValueError: no such loader, or a data set without an image folder or an image loader.
    """
    key = f'{split}_dataloader'
    options = (cfg.get(key) or {}).get('dataset')
    if options is None:
        raise ValueError(f'{cfg.filename}: no {key}.dataset')
    while 'dataset' in options:  # RepeatDataset, ClassBalancedDataset
        options = options['dataset']
    loader = _loader_options(options.get('pipeline') or (), f'{cfg.filename}: {key}')
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    dataset = DATASETS.build(dict(options, pipeline=[]))
    prefix = getattr(dataset, 'img_prefix', None)
    if prefix is None:
        raise ValueError(
            f'{cfg.filename}: {key}.dataset is a {type(dataset).__name__} without an image folder '
            '(img_prefix): extract from the data sets inside it one by one'
        )
    prefix = prefix or '.'
    paths = (dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))
    return ImageList(folder_name(prefix), {image_name(p, prefix): p for p in paths}, loader)


def _loader_options(pipeline: Iterable[dict], where: str) -> dict:
    """Arguments of :class:`LoadImage` that read images as the pipeline does, in colour."""
    for step in pipeline:
        if step['type'].split('.')[-1] in ('LoadImage', 'LoadImageFromFile'):
            names = ('color_type', 'imdecode_backend', 'backend_args')
            options = {name: step[name] for name in names if step.get(name) is not None}
            ignore = options.get('color_type', '').endswith('_ignore_orientation')
            ignore = ignore or options.get('color_type') == 'unchanged'
            options['color_type'] = 'color_ignore_orientation' if ignore else 'color'
            return options
    raise ValueError(f'{where}.dataset.pipeline has no mmmlc.LoadImage, expected it as first step')


class ImageExtractor:
    """Loads an image and finds its boxes.

    Called with a name and a path, returns the description of a record, and its block: empty and
    with the key ``broken`` where the image cannot be loaded.
    """

    def __init__(self, proposer: EdgeBoxes, loader: dict) -> None:
        self.proposer = proposer
        self.load = LoadImage(**loader)

    def __call__(self, name: str, path: str) -> tuple[dict, bytes]:
        try:
            image = self.load({'img_path': path})['img']
            boxes, scores = self.proposer(image)
        except (BrokenImageError, cv2.error) as error:
            return dict(name=name, broken=str(error)), b''
        height, width = image.shape[:2]
        block = encode(to_fractions(boxes.astype(np.float64), (height, width)), scores)
        return dict(name=name, width=width, height=height), block


_extractor: ImageExtractor  # of a worker process, which sets it first of all


def _end_with_parent() -> None:
    """Wait for the parent process to be killed: its workers would stay for ever."""
    connection.wait([cast(BaseProcess, parent_process()).sentinel])  # a worker has a parent
    os._exit(1)


def _start_worker(make: Callable[[], ImageExtractor]) -> None:
    global _extractor
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(0)
    _extractor = make()


def _extract(task: tuple[str, str]) -> tuple[dict, bytes]:
    return _extractor(*task)


def run_all(
    make: Callable[[], ImageExtractor], tasks: Iterable[tuple[str, str]], workers: int
) -> Iterator[tuple[dict, bytes]]:
    """Yield the results of all tasks (name, path), as they come.

    Args:
        make: Called once in each process; can be pickled.
        tasks: Names and paths.
        workers: Processes of one OpenCV thread each; 1 works in this process.

    Raises:
        RuntimeError: if a worker process dies.
    """
    if workers == 1:
        extractor = make()
        yield from (extractor(*task) for task in tasks)
        return
    # Spawned workers would each import all packages again; forking is unsafe on macOS.
    context = get_context('fork' if sys.platform == 'linux' else 'spawn')
    pool = ProcessPoolExecutor(workers, context, _start_worker, (make,))
    tasks = iter(tasks)
    try:
        pending = {pool.submit(_extract, task) for task in islice(tasks, 4 * workers)}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {pool.submit(_extract, task) for task in islice(tasks, len(finished))}
            yield from (future.result() for future in finished)
    except BrokenProcessPool as error:
        raise RuntimeError(
            f'one of {workers} worker processes died, of too little memory perhaps. What is '
            'finished is kept: run again, with fewer --workers'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class Extraction:
    """Extraction of a data set to a file, or of one shard of it.

    Args:
        images: From :func:`list_images`.
        out: The proposals file.
        parameters: How boxes are found; JSON types. Records and files of others are refused.
        shard: (i, n), i from 1 to n: every n-th image.

    Raises:
        ValueError: ``shard`` out of range, or OUT or a record was made in another way.
    """

    def __init__(
        self, images: ImageList, out: str | Path, parameters: dict, shard: tuple[int, int] = (1, 1)
    ) -> None:
        if not 1 <= shard[0] <= shard[1]:
            raise ValueError(f'shard {shard[0]}/{shard[1]}, expected i/n with i from 1 to n')
        self.images = images
        self.out = Path(out)
        self.parts = self.out.with_name(self.out.name + '.parts')
        self.run: dict[str, Any] = dict(folder=images.folder, parameters=parameters)
        self.shard = shard
        self.discarded = 0

    def extract(
        self,
        make: Callable[[], ImageExtractor],
        workers: int,
        track: Callable[[Iterator, int, int], Iterable] = lambda results, done, total: results,
    ) -> Outcome:
        """Extract what is missing, and write OUT once every image of the data set has a record.

        Args:
            make: Makes the extractor of a process.
            workers: Processes.
            track: Passes the results on and shows progress; gets also how many images are done
                already and how many there are.
        """
        names = list(self.images.paths)[self.shard[0] - 1 :: self.shard[1]]
        finished = self._finished()[0]
        todo = [(name, self.images.paths[name]) for name in names if name not in finished]
        kept = len(names) - len(todo)
        if todo:
            path = self.parts / f'{self.shard[0]}-of-{self.shard[1]}.records'
            with RecordWriter(path, self.run) as writer:
                self.discarded = writer.discarded
                for result in track(run_all(make, todo, workers), kept, len(names)):
                    writer.append(*result)
        missing, broken = self._merge()
        return Outcome(len(names), kept, {n: broken[n] for n in names if n in broken}, missing)

    def _finished(self) -> tuple[dict[str, Record | ProposalStore], dict[str, str]]:
        """Where the boxes of each finished image are, and the broken images with the reason."""
        finished: dict[str, Record | ProposalStore] = {}
        broken: dict[str, str] = {}
        if self.out.exists():
            store = ProposalStore(self.out)
            self._check(self.out, dict(folder=store.folder, parameters=store.parameters))
            finished.update(dict.fromkeys(store.names, store))
            broken.update(store.broken)
        for path in sorted(self.parts.glob('*.records')):
            for record in scan(path):
                description = record.description
                if 'run' in description:
                    self._check(path, description['run'])
                elif 'broken' in description:
                    broken[description['name']] = description['broken']
                else:
                    finished.setdefault(description['name'], record)
        return finished, {name: why for name, why in broken.items() if name not in finished}

    def _check(self, path: Path, found: dict) -> None:
        if found != self.run:
            raise ValueError(
                f'{path} was made with {found}, asked for is {self.run}: remove it, or choose '
                'another OUT'
            )

    def _merge(self) -> tuple[int, dict[str, str]]:
        """Write OUT if there is a record of every image; number of missing ones, broken ones."""
        try:
            return self._merge_once()
        except FileNotFoundError:
            # Another shard ended at the same time, wrote OUT and removed the records.
            return self._merge_once()

    def _merge_once(self) -> tuple[int, dict[str, str]]:
        finished, broken = self._finished()
        names = list(self.images.paths)
        missing = sum(name not in finished and name not in broken for name in names)
        if not missing:
            broken = {name: broken[name] for name in names if name in broken}
            self._write([name for name in names if name in finished], finished, broken)
            shutil.rmtree(self.parts, ignore_errors=True)
        return missing, broken

    def _write(self, names: list[str], finished: dict, broken: dict[str, str]) -> None:
        if self.out.exists():
            store = ProposalStore(self.out)
            if store.names == names and store.broken == broken:
                return
        images = [_describe(name, finished[name]) for name in names]
        blocks = (_block(name, finished[name]) for name in names)
        self.parts.mkdir(parents=True, exist_ok=True)
        merged = self.parts / f'{platform.node()}-{os.getpid()}.merged'
        write_store(merged, blocks=blocks, images=images, broken=broken, **self.run)
        os.replace(merged, self.out)


def _describe(name: str, source: Record | ProposalStore) -> ImageProposals:
    if isinstance(source, ProposalStore):
        return source.image(name)
    size = source.description['width'], source.description['height']
    return ImageProposals(name, *size, source.length // BYTES_PER_BOX)


def _block(name: str, source: Record | ProposalStore) -> bytes:
    return source.block(name) if isinstance(source, ProposalStore) else source.read()
