"""Append-only files of finished images: what a killed extraction has done is found again.

Little-endian records: 4 bytes ``mprc``, uint32 lengths of description and block, uint32 CRC-32 of
both, the description (JSON), the block. The first record describes the run. Reading stops at the
first record that is torn or damaged.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

if sys.platform != 'win32':
    import fcntl

MAGIC = b'mprc'
HEAD = struct.Struct('<4sIII')
FSYNC_SECONDS = 2.0


class Record(NamedTuple):
    """Where a record is; ``start`` and ``length`` of its block, ``end`` of the record."""

    description: dict
    path: Path
    start: int
    length: int
    end: int

    def read(self) -> bytes:
        """The block."""
        with self.path.open('rb') as file:
            file.seek(self.start)
            return file.read(self.length)


def scan(path: Path) -> Iterator[Record]:
    """Yield the whole records of a file, none if there is no such file."""
    if not path.exists():
        return
    with path.open('rb') as file:
        while record := _next(file, path):
            yield record


def _next(file: BinaryIO, path: Path) -> Record | None:
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    magic, description, length, checksum = HEAD.unpack(head)
    # The size is looked up first: damaged lengths must not ask for gigabytes.
    start = file.tell() + description
    end = start + length
    if magic != MAGIC or end > os.fstat(file.fileno()).st_size:
        return None
    body = file.read(description + length)
    if zlib.crc32(body) != checksum:
        return None
    return Record(json.loads(body[:description]), path, start, length, end)


def _lock(file: BinaryIO) -> None:
    """Lock a file until it is closed; BlockingIOError if another process has it."""
    if sys.platform == 'win32':
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # a file system without locks


class RecordWriter:
    """Appends records to a file, after the last whole one.

    ``discarded``: bytes of a torn record that were cut off. On disk (fsync) about every two seconds
    and when closed; a context manager.

    Raises:
        ValueError: if another process writes this file.
    """

    def __init__(self, path: Path, run: dict) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open('ab')
        try:
            _lock(self._file)
        except BlockingIOError as error:
            self._file.close()
            raise ValueError(f'{path}: another process is extracting this shard') from error
        end = max((record.end for record in scan(path)), default=0)
        self.discarded = os.path.getsize(path) - end
        self._file.truncate(end)
        self._synced = time.monotonic()
        if end == 0:
            self.append(dict(run=run))

    def append(self, description: dict, block: bytes = b'') -> None:
        """Write a record."""
        text = json.dumps(description).encode()
        checksum = zlib.crc32(text + block)
        self._file.write(HEAD.pack(MAGIC, len(text), len(block), checksum) + text + block)
        self._file.flush()
        if time.monotonic() - self._synced > FSYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._sync()
        self._file.close()
