"""The one decoder of images: training, pictures, proposals and checks see the same pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from .image_files import BrokenImageError, open_image, read_image_file
from .image_modes import WITH_ALPHA, raw_mode, to_eight_bits, to_rgba

MAX_PIXELS = 500_000_000
COLOR_TYPES = (
    *('color', 'grayscale', 'color_ignore_orientation', 'grayscale_ignore_orientation'),
    'unchanged',
)
_ORIENTATION = 0x0112  # of EXIF and TIFF
_TRANSPOSE = Image.Transpose
_METHODS = {
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_270,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_90,
}
_UNDO = {6: 8, 8: 6}  # all others undo themselves


class Decoded(NamedTuple):
    """A decoded image.

    ``pixels``: (H, W, 3) BGR or (H, W) grey, uint8. ``orientation``: that of the file, 1 to 8 as in
    EXIF. ``turned``: whether the pixels have been turned by it.
    """

    pixels: np.ndarray
    orientation: int
    turned: bool


def decode(
    content: bytes,
    color_type: str = 'color',
    backend: str = 'pillow',
    max_pixels: int = MAX_PIXELS,
) -> Decoded:
    """Decode the first frame of an image, see :func:`~mmmlc.datasets.image_modes.to_eight_bits`.

    Args:
        content: Of a file of one of the known formats.
        color_type: ``'color'``, ``'grayscale'``: turned as EXIF, XMP or TIFF say, unless it ends in
            ``'_ignore_orientation'``. ``'unchanged'``: not turned; grey, alpha and numbers of more
            than 8 bits as they are in the file, palettes and the rest as RGB(A), BGR(A) in order.
        backend: ``'cv2'`` decodes JPEG in grey or RGB by OpenCV; all else is Pillow's.
        max_pixels: Refuse larger images, before any pixel is decoded.

    Raises:
        BrokenImageError: whatever is wrong with the image; does not know the name of the file.
        MemoryError: as it says.
    """
    with _all_errors_alike():
        image = open_image(content)
        _check_size(image.size, max_pixels)
        if backend == 'cv2' and _is_plain_jpeg(image, content):
            return _by_opencv(image, content, color_type)
        return _by_pillow(image, color_type)


def from_pillow(
    image: Image.Image, color_type: str = 'color', max_pixels: int = MAX_PIXELS
) -> Decoded:
    """An image that Pillow has opened, or that was made, as :func:`decode` gives one of a file."""
    with _all_errors_alike():
        _check_size(image.size, max_pixels)
        return _by_pillow(image, color_type)


@contextlib.contextmanager
def _all_errors_alike() -> Iterator[None]:
    try:
        yield
    except (MemoryError, BrokenImageError):
        raise
    except ValueError as error:
        raise BrokenImageError(str(error)) from error
    except Exception as error:  # the decoders raise OSError, SyntaxError, struct.error, ...
        raise BrokenImageError(f'{type(error).__name__}: {error}') from error


def read_rgb(path: str, backend_args: dict | None = None) -> Image.Image:
    """Read an image for a picture, turned as its EXIF says.

    Raises:
        BrokenImageError: names the file.
    """
    content = read_image_file(path, backend_args)
    try:
        return Image.fromarray(np.ascontiguousarray(decode(content).pixels[..., ::-1]))
    except BrokenImageError as error:
        raise BrokenImageError(f'{path}: {error}') from error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise BrokenImageError(f'{width} x {height} pixels')
    if width * height > max_pixels:
        raise BrokenImageError(
            f'{width} x {height} = {width * height:,} pixels, more than max_pixels={max_pixels:,}; '
            f'dict(type="mmmlc.LoadImage", max_pixels={width * height}) in the pipeline allows it'
        )


def exif_orientation(image: Image.Image) -> int:
    """1 to 8; 1 if there is none, or none that makes sense."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF data, which viewers overlook: of many types
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _by_pillow(image: Image.Image, color_type: str) -> Decoded:
    stored, tags = raw_mode(image), getattr(image, 'tag_v2', {})
    before = tags.get(_ORIENTATION, 1)
    image.load()
    left = exif_orientation(image)
    # Pillow turns TIFF when it loads them, and no other format.
    done = before if left == 1 and before in _METHODS else 1
    pixels = image if color_type == 'unchanged' else to_eight_bits(image, stored)
    turns = color_type in ('color', 'grayscale')
    turn = left if turns else _UNDO.get(done, done)
    if turn in _METHODS:
        pixels = pixels.transpose(_METHODS[turn])
    return Decoded(_array(pixels, color_type), max(left, done), turns)


def _array(image: Image.Image, color_type: str) -> np.ndarray:
    if color_type == 'unchanged':
        return _unchanged(image)
    mode = 'RGB' if color_type.startswith('color') else 'L'
    pixels = np.array(image if image.mode == mode else image.convert(mode))
    return pixels[..., ::-1] if mode == 'RGB' else pixels


def _unchanged(image: Image.Image) -> np.ndarray:
    if image.mode.startswith('I') or image.mode in ('L', 'F'):
        return np.array(image)
    if image.mode == '1':
        return np.array(image.convert('L'))
    if image.mode in WITH_ALPHA or (image.mode == 'P' and 'transparency' in image.info):
        return np.array(to_rgba(image))[..., (2, 1, 0, 3)]
    return np.array(image if image.mode == 'RGB' else to_eight_bits(image))[..., ::-1]


def _is_plain_jpeg(image: Image.Image, content: bytes) -> bool:
    # OpenCV fills the rest of a JPEG that has no end with grey and does not say so; Pillow refuses.
    ends = content.rfind(b'\xff\xd9') > content.rfind(b'\xff\xda')
    return ends and image.format in ('JPEG', 'MPO') and image.mode in ('L', 'RGB')


def _by_opencv(image: Image.Image, content: bytes, color_type: str) -> Decoded:
    grey = color_type.startswith('grayscale') or (color_type == 'unchanged' and image.mode == 'L')
    flags = (cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None:
        raise BrokenImageError('OpenCV cannot decode it')
    orientation, turns = exif_orientation(image), color_type in ('color', 'grayscale')
    if turns and orientation > 1:
        turned = Image.fromarray(pixels).transpose(_METHODS[orientation])
        pixels = np.array(turned)
    return Decoded(pixels, orientation, turns)
