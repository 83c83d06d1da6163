"""Which image files a command line means: files, folders, patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from mmmlc.datasets.image_files import FORMATS

# Of the formats that are read; Pillow's plugins of them are imported there.
SUFFIXES = tuple(sorted(end for end, name in Image.EXTENSION.items() if name in FORMATS))


def find_images(inputs: Iterable[str]) -> list[str]:
    """Paths of image files, each once, in order; of a folder and those below it by their suffix.

    Args:
        inputs: Files, which are taken whatever their suffix is; folders; patterns (``a/*.jpg``,
            ``**`` for folders of any depth), for shells that leave them as they are.

    Raises:
        FileNotFoundError: for what is not there, or holds no image; names it.
        ValueError: for an address of the network.
    """
    found: dict[str, None] = {}
    for name in inputs:
        if '://' in name:
            raise ValueError(f'{name}: addresses are not fetched, download the image first')
        matches = dict.fromkeys(_of(name))
        found.update(matches)
        if not matches:
            raise FileNotFoundError(
                f'{name}: no such file or folder, or no image in it ({", ".join(SUFFIXES)})'
            )
    return [*found]


def _of(name: str) -> Iterator[str]:
    path = Path(name)
    if path.is_dir():
        yield from map(str, sorted(filter(_is_image, path.rglob('*'))))
    elif path.exists():
        yield name
    else:
        for match in sorted(glob.glob(name, recursive=True)):
            if _is_image(Path(match)):
                yield match


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
