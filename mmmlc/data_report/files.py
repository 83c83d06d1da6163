"""Read every image file once: is it there, does it decode, and what is in it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mmmlc.datasets.image_files import BrokenImageError, MissingImageError, open_image
from mmmlc.datasets.image_modes import unusual
from mmmlc.datasets.transforms import LoadImage

SHORT_SIDE = 16  # pixels; an image with a shorter side is reported
ELONGATED = 10  # as is one whose longer side is more than ten times the shorter one


@dataclass(frozen=True)
class FileCheck:
    """What reading a file told.

    Args:
        path: the file.
        kind: ``'good'``, ``'missing'`` or ``'broken'``.
        detail: what is wrong.
        digest: hash of the content; b'' when it could not be read.
        size: width and height in pixels; (0, 0) unless good.
        notes: of a good file what may surprise, pairs of kind and detail: ``'constant'``,
            ``'mode'``, ``'orientation'``, ``'shape'``.
    """

    path: str
    kind: str
    detail: str = ''
    digest: bytes = b''
    size: tuple[int, int] = (0, 0)
    notes: tuple[tuple[str, str], ...] = ()


def check_file(path: str, loader: LoadImage | None = None) -> FileCheck:
    """Read and decode an image as a :class:`~mmmlc.datasets.LoadImage` does."""
    loader = loader or LoadImage()
    try:
        content = loader.read(path)
    except MissingImageError:
        return FileCheck(path, 'missing', 'no such file')
    except BrokenImageError as error:
        return FileCheck(path, 'broken', _without_name(error, path))
    digest = hashlib.blake2b(content, digest_size=16).digest()
    try:
        decoded = loader.decode(content, path)
    except BrokenImageError as error:
        return FileCheck(path, 'broken', _without_name(error, path), digest)
    height, width = decoded.pixels.shape[:2]
    notes = [('mode', note) for note in unusual(open_image(content))]
    if _is_constant(decoded.pixels):
        notes.append(('constant', f'all pixels are {decoded.pixels[0, 0].tolist()}'))
    if decoded.orientation > 1:
        what = 'turned' if decoded.turned else 'not turned, as color_type says'
        notes.append(('orientation', f'EXIF orientation {decoded.orientation}, {what}'))
    short, long = sorted((width, height))
    if short < SHORT_SIDE or long > ELONGATED * short:
        notes.append(('shape', f'{width} x {height} pixels'))
    return FileCheck(path, 'good', '', digest, (width, height), tuple(notes))


def _without_name(error: BrokenImageError, path: str) -> str:
    return str(error).removeprefix(f'{path}: ')


def _is_constant(pixels: np.ndarray) -> bool:
    first = pixels[0, 0]
    # The first row tells for nearly all images.
    return bool((pixels[0] == first).all() and (pixels == first).all())


def check_files(
    paths: Sequence[str], workers: int | None = None, loader: dict | None = None
) -> Iterator[FileCheck]:
    """Check files in several processes; the results come in no order.

    Args:
        paths: the files.
        workers: processes; by default one per core that this process may use.
        loader: arguments of :class:`~mmmlc.datasets.LoadImage`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    workers = min(workers or cores or 1, len(paths))
    if workers <= 1:
        yield from map(partial(check_file, loader=LoadImage(**(loader or {}))), paths)
        return
    context = multiprocessing.get_context('fork')
    with context.Pool(workers, _start_worker, (loader or {},)) as pool:
        yield from pool.imap_unordered(_check_in_worker, paths, chunksize=8)


_loader: LoadImage | None = None  # of a worker process


def _start_worker(options: dict) -> None:
    global _loader
    _loader = LoadImage(**options)


def _check_in_worker(path: str) -> FileCheck:
    return check_file(path, _loader)
