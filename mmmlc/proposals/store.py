"""The proposals of a data set in one file: 12 bytes a box, no pickle, memory-mapped.

Little-endian, in this order: 8 bytes ``mmmlcprp``, uint32 format version, uint32 CRC-32 of the
header, uint64 length of the header; the header (JSON: folder, parameters, names, sizes and numbers
of boxes of the images, broken images); for each image, in the order of the names, its boxes (n, 4)
uint16 as fractions of the image side times 65,535, then its scores (n,) float32; uint32 CRC-32 of
all boxes and scores.

n: boxes of an image.
"""

from __future__ import annotations

import json
import mmap
import os
import posixpath
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

MAGIC, VERSION = b'mmmlcprp', 1
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


def folder_name(img_prefix: str | Path) -> str:
    """Last component of an image folder."""
    return posixpath.basename(posixpath.abspath(_slashes(img_prefix)))


def image_name(img_path: str | Path, img_prefix: str | Path) -> str:
    """Name of an image: its path relative to the image folder, with forward slashes.

    >>> image_name('data/coco/train2014/sub/1.jpg', 'data/coco/train2014/')
    'sub/1.jpg'
    """
    name = posixpath.relpath(_slashes(img_path), _slashes(img_prefix) or '.')
    if name.startswith('../'):
        raise ValueError(f'image {img_path} is not in the image folder {img_prefix}')
    return name


def _slashes(path: str | Path) -> str:
    return str(path).replace(os.sep, '/')


def encode(boxes: np.ndarray, scores: np.ndarray) -> bytes:
    """The bytes of an image: boxes (n, 4) in [0, 1] and scores (n,), sorted by score."""
    boxes, scores = np.asarray(boxes, np.float64), np.asarray(scores, np.float64)
    if boxes.shape != (len(scores), 4) or scores.ndim != 1:
        raise ValueError(f'boxes {boxes.shape} and scores {scores.shape}, expected (n, 4) and (n,)')
    if not np.isfinite(scores).all():
        raise ValueError(f'score {scores[~np.isfinite(scores)][0]}, expected a finite number')
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
        folder: Name of the image folder, see :func:`folder_name`.
        images: Names are unique.
        blocks: For each image the bytes of :func:`encode`.
        parameters: How the proposals were made, JSON types.
        broken: Images without proposals because they could not be read, and why.

    Raises:
        ValueError: a name occurs twice, or a block does not have ``num_boxes`` boxes.
    """
    names = [image.name for image in images]
    if len(set(names)) < len(names):
        raise ValueError(f'{path}: image {Counter(names).most_common(1)[0][0]!r} occurs twice')
    header = dict(
        folder=folder,
        parameters=parameters,
        broken=broken or {},
        names=names,
        sizes=[[image.width, image.height] for image in images],
        counts=[image.num_boxes for image in images],
    )
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part{os.getpid()}')
    try:
        with part.open('wb') as file:
            file.write(PREFIX.pack(MAGIC, VERSION, zlib.crc32(text), len(text)) + text)
            checksum = 0
            for image, block in zip(images, blocks, strict=True):
                if len(block) != image.num_boxes * BYTES_PER_BOX:
                    raise ValueError(f'{path}: {image} has {len(block)} bytes of boxes')
                checksum = zlib.crc32(block, checksum)
                file.write(block)
            file.write(CHECKSUM.pack(checksum))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class ProposalStore:
    """Read-only view of a proposals file.

    ``store[name]`` gives boxes (n, 4) float32, x1, y1, x2, y2 as fractions of the image side, and
    scores (n,) float32, best first. Only the header is read when the file is opened; :meth:`verify`
    reads it all. Pickled (for data loader processes) as its path.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, another version, cut short, or a damaged header.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f'{path}: no such proposals file (tools/extract_proposals.py makes one)'
            )
        with open(path, 'rb') as file:
            header, self._start = self._read_header(file, os.path.getsize(path))
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.folder: str = header['folder']
        self.parameters: dict = header['parameters']
        self.broken: dict[str, str] = header['broken']
        self.names: list[str] = header['names']
        self._sizes, self._counts = header['sizes'], header['counts']
        self._offsets = np.concatenate([[0], np.cumsum(self._counts, dtype=np.int64)]).tolist()
        self._rows = {name: row for row, name in enumerate(self.names)}

    def _read_header(self, file: BinaryIO, size: int) -> tuple[dict, int]:
        prefix = file.read(PREFIX.size)
        if prefix[:8] != MAGIC[: len(prefix)] or not prefix:
            raise ValueError(
                f'{self.path} is not a proposals file of mmmlc: it begins with {prefix[:8]!r}, '
                f'expected {MAGIC!r}'
            )
        if len(prefix) < PREFIX.size:
            raise ValueError(f'{self.path} is cut short: {size} bytes')
        _, version, checksum, length = PREFIX.unpack(prefix)
        if version != VERSION:
            raise ValueError(f'{self.path} has format {version}, this mmmlc reads {VERSION}')
        if PREFIX.size + length > size:
            raise ValueError(f'{self.path} is cut short: {size} bytes end within the header')
        text = file.read(length)
        if zlib.crc32(text) != checksum:
            raise ValueError(f'{self.path}: the header is damaged, its checksum differs')
        header = json.loads(text)
        start = PREFIX.size + length
        expected = start + sum(header['counts']) * BYTES_PER_BOX + CHECKSUM.size
        if size != expected:
            state = 'is cut short' if size < expected else 'has something after its end'
            raise ValueError(f'{self.path} {state}: {size} bytes, expected {expected}')
        return header, start

    def __reduce__(self) -> tuple[type[ProposalStore], tuple[str]]:
        return ProposalStore, (self.path,)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        return self.load(name)

    def load(self, name: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and scores of an image, the best ``limit`` only.

        Raises:
            KeyError: no such image.
        """
        row = self._row(name)
        count, start = self._counts[row], self._start + self._offsets[row] * BYTES_PER_BOX
        boxes = np.frombuffer(self._map, '<u2', 4 * count, start).reshape(count, 4)[:limit]
        scores = np.frombuffer(self._map, '<f4', count, start + 8 * count)[:limit]
        return boxes.astype(np.float32) / np.float32(FULL_SIDE), scores.astype(np.float32)

    def image(self, name: str) -> ImageProposals:
        """Size and number of boxes of an image; KeyError if there is no such image."""
        row = self._row(name)
        width, height = self._sizes[row]
        return ImageProposals(name, width, height, self._counts[row])

    def block(self, name: str) -> bytes:
        """The bytes of an image, as :func:`encode` gives them."""
        row = self._row(name)
        start, end = (self._start + self._offsets[r] * BYTES_PER_BOX for r in (row, row + 1))
        return self._map[start:end]

    def _row(self, name: str) -> int:
        if name not in self._rows:
            reason = f', it was broken: {self.broken[name]}' if name in self.broken else ''
            raise KeyError(f'{self.path} has no image {name!r}{reason}')
        return self._rows[name]

    def find(self, img_path: str, img_prefix: str | None = None) -> str:
        """Name of an image given its path.

        The name is what follows the image folder in the path: that folder is ``img_prefix``, or
        else any in the path called as the one that the proposals were extracted from. So images of
        the same name in ``train`` and ``val`` are not taken for each other.

        Raises:
            ValueError: no such image, or several; names image and file.
        """
        if img_prefix is not None:
            candidates = [image_name(img_path, img_prefix)]
        else:
            parts = posixpath.abspath(_slashes(img_path)).split('/')
            ends = [i for i, part in enumerate(parts[:-1]) if part == self.folder]
            candidates = ['/'.join(parts[i + 1 :]) for i in ends]
        found = [name for name in candidates if name in self._rows]
        if len(found) == 1:
            return found[0]
        raise ValueError(self._search_error(img_path, img_prefix, candidates, found))

    def _search_error(
        self, img_path: str, img_prefix: str | None, candidates: list[str], found: list[str]
    ) -> str:
        text = f'{self.path} has no proposals for {img_path}: '
        if found:
            return f'{self.path} has several images for {img_path}: {found}; give img_prefix'
        broken = [name for name in candidates if name in self.broken]
        if broken:
            return f'{text}it was broken: {self.broken[broken[0]]}'
        if img_prefix is None and not candidates:
            return (
                f'{text}they are of images in a folder {self.folder!r}, which is not in this path. '
                'If it is the same data in a folder of another name, give img_prefix, that folder'
            )
        return f'{text}no image {" or ".join(map(repr, candidates))} among its {len(self):,}'

    def verify(self) -> None:
        """Compare the checksum of all boxes and scores; ValueError if it differs."""
        checksum, step = 0, 1 << 24
        end = len(self._map) - CHECKSUM.size
        for start in range(self._start, end, step):
            checksum = zlib.crc32(self._map[start : min(start + step, end)], checksum)
        if CHECKSUM.unpack(self._map[end:])[0] != checksum:
            raise ValueError(f'{self.path}: boxes or scores are damaged, their checksum differs')
