"""Paths of images in annotation files: one spelling for a photo, and where photos may be.

Whoever writes an annotation file must not decide which files of this computer are read, or which
addresses are asked. Links are followed: who made them could also have moved the files.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

OUTSIDE = ('error', 'files', 'anywhere')
# 'a.', '/' and the like come along: what has none of these is in its only spelling.
_ODD = ('./', '//', '\\')
_DRIVE = re.compile(r'[A-Za-z]:/')


def is_odd(text: str) -> bool:
    """Whether paths, alone or joined without anything between, may have another spelling."""
    return any(mark in text for mark in _ODD)


def plain_path(path: str) -> str:
    r"""The one spelling of a path: ``a.jpg`` for ``./a.jpg``, ``x/../a.jpg`` and ``.\a.jpg``.

    Addresses (``s3://bucket/a.jpg``) stay as they are.
    """
    if '://' in path or not is_odd(path):
        return path
    return posixpath.normpath(path.replace('\\', '/'))


def is_address(path: str) -> bool:
    """Whether mmengine takes the path for that of a server."""
    return '://' in path


def is_absolute(path: str) -> bool:
    """Whether a path with slashes is absolute, here or on Windows."""
    return path.startswith('/') or bool(_DRIVE.match(path))


def check_text(path: str, where: str) -> None:
    """Refuse what no file system takes.

    Raises:
        ValueError: an empty path, one with NUL, or with half of a UTF-16 pair.
    """
    if not path.strip():
        raise ValueError(f'{where}: the path {path!r} is empty')
    if '\0' in path:
        raise ValueError(f'{where}: the path {path!r} holds a NUL character')
    if re.search('[\ud800-\udfff]', path):
        raise ValueError(f'{where}: the path {path!r} holds half of a UTF-16 pair')


class ImageFolder:
    """Where the images of a data set may be.

    Args:
        prefix: Folder that relative paths start from.
        data_root: With it, images are inside of it or of ``prefix``. Without it (''), any file of
            this computer will do.
        outside: What is done with others: ``'error'``; ``'files'`` takes any file of this computer;
            ``'anywhere'`` takes addresses, too.
    """

    def __init__(self, prefix: str, data_root: str = '', outside: str = 'error') -> None:
        self.prefix, self.data_root, self.outside = prefix, data_root or '', outside
        roots = [root for root in (self.data_root, prefix) if root and not is_address(root)]
        self._roots = [_absolute(root) for root in roots]

    def join(self, path: str, where: str) -> str:
        """The path to load.

        Args:
            path: As in the file.
            where: File and place, for errors.

        Raises:
            ValueError: no path, or one outside.
        """
        check_text(path, where)
        path = plain_path(path)
        self.check(path, where)
        return path if is_address(path) else os.path.join(self.prefix, path)

    def check(self, path: str, where: str) -> None:
        """Raise ValueError unless images may be there; ``path`` is in its one spelling."""
        if is_address(path):
            if self.outside != 'anywhere':
                raise ValueError(
                    f'{where}: {path!r} is an address, and images are not fetched; '
                    "outside='anywhere' of the dataset does, from every address in the file"
                )
            return
        if os.sep == '/' and _DRIVE.match(path):
            raise ValueError(f'{where}: {path!r} is a path of Windows, which this computer has not')
        goes_up = path == '..' or path.startswith('../')
        if not (goes_up or is_absolute(path)) or self.outside != 'error' or not self.data_root:
            return
        if is_address(self.prefix) or not self._has(_absolute(os.path.join(self.prefix, path))):
            raise ValueError(
                f'{where}: {path!r} is outside of data_root={self.data_root!r}; '
                "outside='files' of the dataset allows it"
            )

    def _has(self, path: str) -> bool:
        return any(path == root or path.startswith(root.rstrip('/') + '/') for root in self._roots)


def _absolute(path: str) -> str:
    return os.path.abspath(path).replace(os.sep, '/')


def _folded(path: str) -> str:
    return unicodedata.normalize('NFC', path).casefold()


def spelling_twins(paths: Iterable[str]) -> list[tuple[int, int]]:
    """Pairs of paths that only differ in upper and lower case, or in how accents are composed.

    Some systems take them for one file.

    Returns:
        Index of the first, and of another.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        groups[_folded(path)].append(index)
    return [(group[0], other) for group in groups.values() for other in group[1:]]


def same_file(first: str, second: str) -> bool | None:
    """Whether two paths are one file; None if one of them does not exist."""
    if is_address(first) or is_address(second):
        return None
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):
        return None


def repeated_paths(paths: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of rows with one path: index of the first, and of another."""
    if len(set(paths)) == len(paths):
        return []
    first: dict[str, int] = {}
    return [
        (first[path], index)
        for index, path in enumerate(paths)
        if first.setdefault(path, index) != index
    ]
