"""Files that are whole or not there, whatever interrupts the writing: a kill, a full disk.

A file is written under another name in the same folder, brought to the disk, and renamed, which is
a single step for every reader. Then the folder itself is brought to the disk, or a power cut could
undo the renaming.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# The disk, the user's share of it, the size that the system allows a file.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SUFFIX = '.part'


class DiskFullError(OSError):
    """A file does not fit; the text says which, its size, and what is free."""

    def __init__(self, error: OSError, path: str | Path, needed: int | None = None) -> None:
        super().__init__(error.errno, _sentence(error, Path(path), needed))

    def __str__(self) -> str:
        return str(self.strerror)


def part_name(name: str, owner: str = '') -> str:
    """The name of a file while it is written: hidden, and no pattern for ``*.pth`` finds it.

    Args:
        name: File name.
        owner: Keeps writers of the same file apart.
    """
    return f'.{name}{owner}{_SUFFIX}'


@contextlib.contextmanager
def whole_file(path: str | Path, needed: int | None = None) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` at the end; missing folders are made.

    Args:
        path: File name, replaced if it is there.
        needed: Bytes that will be written, for the error.

    Raises:
        DiskFullError: with path, size and free space. What was at ``path`` before is still there,
            as after any other error.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(part_name(path.name, f'.{os.getpid()}'))
    try:
        yield part
        put_in_place(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)  # first: it takes up what is free
        if error.errno not in FULL:
            raise
        raise DiskFullError(error, path, needed) from None
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes | memoryview) -> None:
    """Write a :func:`whole_file` of this content."""
    with whole_file(path, len(content)) as part:
        part.write_bytes(content)


def put_in_place(part: Path, path: Path) -> None:
    """Bring a finished file, or folder of files, to the disk and give it its name."""
    for file in [part, *part.rglob('*')]:
        _to_disk(file)
    if part.is_dir() and path.is_dir():
        shutil.rmtree(path)  # a folder cannot be renamed over another one
    part.replace(path)
    _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        # Some file systems know no fsync for folders.
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what writers that were killed have left in a folder; what it was."""
    found = sorted(folder.glob(part_name('*')))
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            remove(path)
    return found


def megabytes(size: int) -> str:
    """A number of bytes for people.

    Examples:
        >>> megabytes(1_250_000)
        '1.2 MB'
    """
    return f'{size / 1e6:,.1f} MB'


def _sentence(error: OSError, path: Path, needed: int | None) -> str:
    size = '' if needed is None else f'it needs {megabytes(needed)}, '
    return f'{path} cannot be written: {size}{_free_space(path)} ({_cause(error)})'


def _free_space(path: Path) -> str:
    folder = path.absolute().parent
    while not folder.is_dir():
        folder = folder.parent
    return f'{megabytes(shutil.disk_usage(folder).free)} are free in {folder}'


def _cause(error: OSError) -> str:
    if error.errno == errno.EFBIG:
        return f'{os.strerror(errno.EFBIG)}: a limit on the size of files, ulimit -f'
    return os.strerror(error.errno or errno.ENOSPC)
