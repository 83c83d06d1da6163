"""The bytes of a proposals file: what is written, and the header and checksums that are read.

Little-endian, in this order: 8 bytes ``mmmlcprp``, uint32 format version, uint32 CRC-32 of the
header, uint64 length of the header; the header (JSON: folder, parameters, names, sizes and numbers
of boxes of the images, broken images); for each image, in the order of the names, its block: boxes
(n, 4) uint16 as fractions of the image side times 65,535, then scores (n,) float32; for each image
uint32 CRC-32 of its block; uint32 CRC-32 of these checksums. Format 1 had instead of all of these
one CRC-32 of all blocks.

n: boxes of an image, N: images.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from mmmlc.ops.checks import is_integer
from mmmlc.whole_files import whole_file

MAGIC, VERSION = b'mmmlcprp', 2
VERSIONS = (1, VERSION)
PREFIX = struct.Struct('<8sIIQ')
CHECKSUM = struct.Struct('<I')
BYTES_PER_BOX = 12
FULL_SIDE = 65_535


class ImageProposals(NamedTuple):
    """An image of a store; size in pixels."""

    name: str
    width: int
    height: int
    num_boxes: int


class Header(NamedTuple):
    """What a proposals file says before its blocks, checked."""

    version: int
    folder: str
    parameters: dict
    broken: dict[str, str]
    names: list[str]
    sizes: list[list[int]]  # (N, 2) width, height
    counts: list[int]  # (N,) boxes
    start: int  # of the first block
    end: int  # of the last one


def encode(boxes: np.ndarray, scores: np.ndarray) -> bytes:
    """The bytes of an image: boxes (n, 4) in [0, 1] and scores (n,), sorted by score."""
    boxes, scores = np.asarray(boxes, np.float64), np.asarray(scores, np.float64)
    if boxes.shape != (len(scores), 4) or scores.ndim != 1:
        raise ValueError(f'boxes {boxes.shape} and scores {scores.shape}, expected (n, 4) and (n,)')
    # In the precision they are kept in, where 1e39 is infinite.
    wrong = ~(np.abs(scores) <= np.finfo(np.float32).max)
    if wrong.any():
        raise ValueError(f'score {scores[wrong][0]}, expected a finite number')
    wrong = ~((boxes >= 0) & (boxes <= 1)).all(1) | (boxes[:, :2] > boxes[:, 2:]).any(1)
    if wrong.any():
        raise ValueError(
            f'box {boxes[wrong][0].tolist()}, expected x1 <= x2 and y1 <= y2 as fractions of the '
            'image side'
        )
    order = np.argsort(-scores, kind='stable')
    whole = np.rint(boxes[order] * FULL_SIDE).astype('<u2')
    return whole.tobytes() + scores[order].astype('<f4').tobytes()


def write_store(
    path: str | Path,
    folder: str,
    images: Sequence[ImageProposals],
    blocks: Iterable[bytes],
    parameters: dict,
    broken: dict[str, str] | None = None,
) -> None:
    """Write a store: all of the file or none of it.

    Args:
        path: The file, replaced if it exists.
        folder: Name of the image folder, see :func:`mmmlc.proposals.store.folder_name`.
        images: Names are unique.
        blocks: For each image the bytes of :func:`encode`.
        parameters: How the proposals were made, JSON types.
        broken: Images without proposals because they could not be read, and why.

    Raises:
        ValueError: a name occurs twice, a size is not positive, or a block does not have
            ``num_boxes`` boxes.
    """
    header = dict(
        folder=folder,
        parameters=parameters,
        broken=broken or {},
        names=[image.name for image in images],
        sizes=[[image.width, image.height] for image in images],
        counts=[image.num_boxes for image in images],
    )
    check_header(header, str(path))
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with whole_file(path) as part, part.open('wb') as file:
        file.write(PREFIX.pack(MAGIC, VERSION, zlib.crc32(text), len(text)) + text)
        checksums = []
        for image, block in zip(images, blocks, strict=True):
            if len(block) != image.num_boxes * BYTES_PER_BOX:
                raise ValueError(f'{path}: {image} has {len(block)} bytes of boxes')
            checksums.append(zlib.crc32(block))
            file.write(block)
        table = np.array(checksums, '<u4').tobytes()
        file.write(table + CHECKSUM.pack(zlib.crc32(table)))


def read_header(file: BinaryIO, path: str, size: int) -> Header:
    """Read the header of an open file of ``size`` bytes.

    Raises:
        ValueError: another kind of file, another version, cut short, or a damaged header.
    """
    prefix = file.read(PREFIX.size)
    if prefix[:8] != MAGIC[: len(prefix)] or not prefix:
        raise ValueError(
            f'{path} is not a proposals file of mmmlc: it begins with {prefix[:8]!r}, '
            f'expected {MAGIC!r}'
        )
    if len(prefix) < PREFIX.size:
        raise ValueError(f'{path} is cut short: {size} bytes')
    _, version, checksum, length = PREFIX.unpack(prefix)
    if version not in VERSIONS:
        raise ValueError(f'{path} has format {version}, this mmmlc reads {VERSIONS}')
    if PREFIX.size + length > size:
        raise ValueError(f'{path} is cut short: {size} bytes end within the header')
    text = file.read(length)
    if zlib.crc32(text) != checksum:
        raise ValueError(f'{path}: the header is damaged, its checksum differs')
    try:
        header = json.loads(text)
    except ValueError as error:  # nothing but zeros has a right checksum
        raise ValueError(f'{path}: the header is damaged, it is no JSON: {error}') from error
    check_header(header, path)
    start = PREFIX.size + length
    end = start + sum(header['counts']) * BYTES_PER_BOX
    checksums = len(header['names']) if version > 1 else 0
    expected = end + (checksums + 1) * CHECKSUM.size
    if size != expected:
        state = 'is cut short' if size < expected else 'has something after its end'
        raise ValueError(f'{path} {state}: {size} bytes, expected {expected}')
    return Header(version, start=start, end=end, **{key: header[key] for key in KEYS})


KEYS = dict(folder=str, parameters=dict, broken=dict, names=list, sizes=list, counts=list)


def check_header(header: dict, path: str) -> None:
    """Raise ValueError unless a header has all keys, unique names, sizes and numbers of boxes."""
    for key, kind in KEYS.items():
        if not isinstance(header, dict) or not isinstance(header.get(key), kind):
            raise ValueError(f'{path}: the header has no {key}, expected a {kind.__name__}')
    names, sizes, counts = (header[key] for key in ('names', 'sizes', 'counts'))
    if not len(names) == len(sizes) == len(counts):
        raise ValueError(
            f'{path}: the header has {len(names)} names, {len(sizes)} sizes and {len(counts)} '
            'numbers of boxes, expected as many of each'
        )
    for name, size, count in zip(names, sizes, counts, strict=True):
        good = isinstance(name, str) and isinstance(size, list) and len(size) == 2
        if not good or not all(is_integer(side) and side > 0 for side in size):
            raise ValueError(
                f'{path}: image {name!r} has width, height {size}, expected two positive integers'
            )
        if not is_integer(count) or count < 0:
            raise ValueError(f'{path}: image {name!r} has {count!r} boxes, expected a number')
    if len(set(names)) < len(names):
        raise ValueError(f'{path}: image {Counter(names).most_common(1)[0][0]!r} occurs twice')


def read_checksums(content: memoryview, header: Header, path: str) -> np.ndarray | None:
    """The checksums of the blocks (N,); None in format 1, whose one checksum is compared here.

    Raises:
        ValueError: if they are damaged themselves, or in format 1 any block is.
    """
    table, last = content[header.end : -CHECKSUM.size], content[-CHECKSUM.size :]
    checked = table if header.version > 1 else content[header.start : header.end]
    if zlib.crc32(checked) == CHECKSUM.unpack(last)[0]:
        return np.frombuffer(table, '<u4') if header.version > 1 else None
    if header.version > 1:
        raise ValueError(f'{path}: the checksums at the end are damaged')
    raise ValueError(
        f'{path}: boxes or scores are damaged, their checksum differs (format 1 does not say of '
        'which image): extract the proposals again'
    )
