"""Content of image files: regular files of known formats, up to a size."""

from __future__ import annotations

import importlib
import io
import os
import stat
from typing import Any

from mmengine.fileio import LocalBackend, get_file_backend
from PIL import Image, ImageFile, TiffImagePlugin

from mmmlc.neutral import safe_line

MAX_BYTES = 2_000_000_000
# Only these are ever tried: other readers of Pillow start programs (Ghostscript for PostScript).
FORMATS: tuple[str, ...] = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'PPM', 'JPEG2000', 'AVIF')
_PREFIX = 16  # bytes that tell the formats apart
_LONG = 1 << 20  # bytes that are not read before the format is known
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF

for _plugin in ('Jpeg', 'Png', 'WebP', 'Bmp', 'Gif', 'Tiff', 'Ppm', 'Jpeg2K', 'Avif'):
    try:  # importing registers it; Pillow before 11.3 has no AVIF
        importlib.import_module(f'PIL.{_plugin}ImagePlugin')
    except ModuleNotFoundError:
        FORMATS = tuple(name for name in FORMATS if name != _plugin.upper())


class BrokenImageError(RuntimeError):
    """An image that is missing, cannot be decoded or exceeds a limit; names the file.

    In one line, whatever the name of the file holds: it goes to the terminal.
    """

    def __init__(self, message: str = '') -> None:
        super().__init__(safe_line(message))


class MissingImageError(BrokenImageError):
    """An image file that is not there."""


def read_image_file(
    path: str, backend_args: dict | None = None, max_bytes: int = MAX_BYTES
) -> bytes:
    """Read a file, from disk or by any backend of mmengine.

    On disk it has to be a regular file, or a link to one: a named pipe or a device could be read
    for ever. A long file of an unknown format is not read to its end.

    Args:
        path: The file.
        backend_args: Of mmengine's file backend.
        max_bytes: The longest file allowed.

    Raises:
        BrokenImageError: whatever is wrong with the file; names it.
        MissingImageError: no such file.
    """
    backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    try:
        if getattr(type(backend), 'get', None) is LocalBackend.get:
            content = _read_regular(path, max_bytes)
        else:
            content = backend.get(path)
            _check_length(len(content), max_bytes)
    except FileNotFoundError as error:
        raise MissingImageError(f'{path}: {error.strerror or error}') from error
    except BrokenImageError as error:
        raise BrokenImageError(f'{path}: {error}') from error
    except OSError as error:
        raise BrokenImageError(f'{path}: {error.strerror or error}') from error
    except ValueError as error:  # NUL or a lone surrogate in the name
        raise BrokenImageError(f'{path!r}: not a name of a file: {error}') from error
    if not content:
        raise BrokenImageError(f'{path}: empty file')
    return content


def _read_regular(path: str, max_bytes: int) -> bytes:
    _check_regular(os.stat(path).st_mode)
    # A pipe that has taken the file's place meanwhile: opening it would wait for a writer.
    flags = os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0)
    with open(os.open(path, flags), 'rb') as file:
        status = os.fstat(file.fileno())
        _check_regular(status.st_mode)
        _check_length(status.st_size, max_bytes)
        if status.st_size > _LONG:
            identify(file.read(_PREFIX))
            file.seek(0)
        return file.read(status.st_size)


def _check_regular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {
        stat.S_IFDIR: 'a directory',
        stat.S_IFIFO: 'a named pipe',
        stat.S_IFCHR: 'a device',
        stat.S_IFBLK: 'a device',
        stat.S_IFSOCK: 'a socket',
    }
    kind = kinds.get(stat.S_IFMT(mode), 'something else')
    raise BrokenImageError(f'is {kind}, expected a regular file')


def _check_length(length: int, max_bytes: int) -> None:
    if length > max_bytes:
        raise BrokenImageError(
            f'{length:,} bytes, more than max_bytes={max_bytes:,}; dict(type="mmmlc.LoadImage", '
            f'max_bytes={length}) in the pipeline allows it'
        )


def identify(prefix: bytes) -> str:
    """The format of a file, one of ``FORMATS``, from its first 16 bytes.

    Raises:
        BrokenImageError: it is none of them, or Pillow was built without it.

    Examples:
        >>> identify(b'GIF89a')
        'GIF'
    """
    for name in FORMATS:
        accept = Image.OPEN[name][1]
        accepted = accept is not None and accept(prefix[:_PREFIX])
        if isinstance(accepted, str):
            raise BrokenImageError(f'{name}: {accepted}')
        if accepted:
            return name
    raise BrokenImageError(
        f'begins with {prefix[:_PREFIX]!r}, which is none of the formats {", ".join(FORMATS)}'
    )


def open_image(content: bytes) -> ImageFile.ImageFile:
    """Read the header of an image; its pixels follow with ``load()``.

    ``Image.open`` is left out because it tries all formats, and because its limit of pixels is one
    for the whole process.

    Raises:
        BrokenImageError: an unknown format, or one of its kinds that Pillow does not read.
        Exception: of many types, for a broken header.
    """
    name = identify(content[:_PREFIX])
    # Its type takes names of files only.
    factory: Any = Image.OPEN[name][0]
    try:
        image = factory(io.BytesIO(content), '')
    except SyntaxError as error:
        kind = f' ({_tiff_kind(content)})' if 'unknown pixel mode' in str(error) else ''
        raise BrokenImageError(f'{name} that Pillow cannot read: {error}{kind}') from error
    if name == 'JPEG2000' and image.mode not in ('L', 'I;16') and _jpeg2000_bits(content) > 8:
        # Pillow rounds to 8 bits without a limit: what is nearly white becomes black.
        raise BrokenImageError(
            f'JPEG2000 with {len(image.getbands())} channels of {_jpeg2000_bits(content)} bits, '
            'which Pillow reads wrongly: convert it to 8 bits'
        )
    return image


def _jpeg2000_bits(content: bytes) -> int:
    """The most bits of a channel, as the head of the code stream says; 0 if there is none."""
    start = content.find(b'\xff\x4f\xff\x51')
    # Two marks, length, profile and eight sizes lie before it.
    channels = int.from_bytes(content[start + 40 : start + 42], 'big') if start >= 0 else 0
    depths = content[start + 42 : start + 42 + 3 * channels : 3]
    return max(((depth & 0x7F) + 1 for depth in depths), default=0)


def _tiff_kind(content: bytes) -> str:
    """What the numbers in a TIFF are, as its tags say."""
    tags = TiffImagePlugin.ImageFileDirectory_v2(content[:8])
    file = io.BytesIO(content)
    file.seek(tags.next)
    tags.load(file)
    bits, form = tags.get(_BITS, (1,)), tags.get(_SAMPLE_FORMAT, (1,))
    names = {1: 'unsigned', 2: 'signed', 3: 'float'}
    form_name = names.get(form[0], f'sample format {form[0]}')
    return (
        f'{len(bits)} channels of {bits[0]} bits, {form_name}, photometric {tags.get(_PHOTOMETRIC)}'
    )
