"""The proposals of a data set in one file: 12 bytes a box, no pickle, memory-mapped, checked.

The format is described in :mod:`mmmlc.proposals.store_format`. n: boxes of an image.
"""

from __future__ import annotations

import mmap
import os
import posixpath
import zlib
from pathlib import Path

import numpy as np

from .store_format import (
    BYTES_PER_BOX,
    FULL_SIDE,
    ImageProposals,
    encode,
    read_checksums,
    read_header,
    write_store,
)

__all__ = [
    'BYTES_PER_BOX',
    'ImageProposals',
    'ProposalStore',
    'encode',
    'folder_name',
    'image_name',
    'write_store',
]


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


class ProposalStore:
    """Read-only view of a proposals file.

    ``store[name]`` gives boxes (n, 4) float32, x1, y1, x2, y2 as fractions of the image side, and
    scores (n,) float32, best first. Only header and checksums are read when the file is opened; the
    checksum of an image is compared whenever the image is read. A file of format 1 has one checksum
    for all images, and is read whole when it is opened. Pickled (for data loader processes) as its
    path.

    Args:
        path: The file.
        known: Size and time of change of a file of format 1 that has been read whole before.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, another version, cut short, or damaged.
    """

    def __init__(self, path: str | Path, known: tuple[int, int] | None = None) -> None:
        self.path = str(path)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f'{path}: no such proposals file (tools/extract_proposals.py makes one)'
            )
        with open(path, 'rb') as file:
            state = os.fstat(file.fileno())
            header = read_header(file, self.path, state.st_size)
            self._map = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.folder, self.parameters = header.folder, header.parameters
        self.broken, self.names = header.broken, header.names
        self._header = header
        self._known = (state.st_size, state.st_mtime_ns)
        self._checksums = None
        if header.version > 1 or known != self._known:
            self._checksums = read_checksums(self._map, header, self.path)
        sizes = np.cumsum(header.counts, dtype=np.int64) * BYTES_PER_BOX
        self._offsets = (header.start + np.concatenate([[0], sizes])).astype(np.int64).tolist()
        self._rows = {name: row for row, name in enumerate(self.names)}

    def __reduce__(self) -> tuple[type[ProposalStore], tuple[str, tuple[int, int]]]:
        return ProposalStore, (self.path, self._known)

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
            ValueError: its boxes or scores are damaged.
        """
        row = self._row(name)
        count, block = self._header.counts[row], self._block(row)
        boxes = np.frombuffer(block, '<u2', 4 * count).reshape(count, 4)[:limit]
        scores = np.frombuffer(block, '<f4', count, 8 * count)[:limit]
        return boxes.astype(np.float32) / np.float32(FULL_SIDE), scores.astype(np.float32)

    def image(self, name: str) -> ImageProposals:
        """Size and number of boxes of an image; KeyError if there is no such image."""
        row = self._row(name)
        width, height = self._header.sizes[row]
        return ImageProposals(name, width, height, self._header.counts[row])

    def block(self, name: str) -> bytes:
        """The bytes of an image, as :func:`encode` gives them; errors as of :meth:`load`."""
        return bytes(self._block(self._row(name)))

    def _block(self, row: int) -> memoryview:
        block = self._map[self._offsets[row] : self._offsets[row + 1]]
        if self._checksums is not None and zlib.crc32(block) != self._checksums[row]:
            raise ValueError(
                f'{self.path}: the boxes or scores of the image {self.names[row]!r} are damaged, '
                'their checksum differs: extract the proposals again'
            )
        return block

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
        """Compare the checksums of all images; ValueError naming the first that differs."""
        read_checksums(self._map, self._header, self.path)
        for row in range(len(self)):
            self._block(row)
