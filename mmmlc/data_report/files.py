"""Read every image file once: is it there, does it decode, and what is in it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmengine import fileio

from mmmlc.datasets.transforms import BrokenImageError, LoadImage


@dataclass(frozen=True)
class FileCheck:
    """What reading a file told.

    Args:
        path: the file.
        kind: ``'good'``, ``'missing'`` or ``'broken'``.
        detail: what is wrong.
        digest: hash of the content; b'' when it could not be read.
        size: width and height in pixels; (0, 0) unless good.
    """

    path: str
    kind: str
    detail: str = ''
    digest: bytes = b''
    size: tuple[int, int] = (0, 0)


def check_file(path: str) -> FileCheck:
    """Read and decode an image as :class:`~mmmlc.datasets.LoadImage` does."""
    try:
        content = fileio.get(path)
    except FileNotFoundError:
        return FileCheck(path, 'missing', 'no such file')
    except OSError as error:
        return FileCheck(path, 'broken', error.strerror or str(error))
    digest = hashlib.blake2b(content, digest_size=16).digest()
    try:
        height, width = LoadImage()._decode(content, path).shape[:2]
    except BrokenImageError as error:
        return FileCheck(path, 'broken', str(error).removeprefix(f'{path}: '), digest)
    return FileCheck(path, 'good', '', digest, (width, height))


def check_files(paths: Sequence[str], workers: int | None = None) -> Iterator[FileCheck]:
    """Check files in several processes; the results come in no order.

    Args:
        paths: the files.
        workers: processes; by default one per core that this process may use.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    workers = min(workers or cores or 1, len(paths))
    if workers <= 1:
        yield from map(check_file, paths)
        return
    with multiprocessing.get_context('fork').Pool(workers) as pool:
        yield from pool.imap_unordered(check_file, paths, chunksize=8)
