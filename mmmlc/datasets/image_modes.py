"""Pixels of any mode of Pillow as 8-bit grey or RGB, as a viewer shows them."""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image, ImageCms

_DIRECT = {'1': 'L', 'P': 'RGB', 'CMYK': 'RGB', 'YCbCr': 'RGB', 'HSV': 'RGB', 'RGBX': 'RGB'}
WITH_ALPHA = ('LA', 'La', 'PA', 'RGBA', 'RGBa')
# Pillow makes 8 bits of 2 and 4, but not of the colour that is transparent.
_GREY_STEP = {'L;2': 85, 'L;4': 17}
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF


def to_eight_bits(image: Image.Image, stored: str = '') -> Image.Image:
    """Convert a loaded image to mode ``'L'`` or ``'RGB'``.

    - 16 bits: the upper 8, so that the type's range, and not that of the values found, is black to
      white; 12 bits of TIFF likewise. So does Pillow with 16-bit RGB.
    - Float: [0, 1] is black to white, or [0, 255] if a value is above 1. 32-bit integers: [0, 255].
    - Alpha and transparent colours: on white.
    - CMYK, YCbCr, HSV by Pillow's formulas, LAB (D50) by LittleCMS. Colour profiles (ICC) are left
      alone: the numbers are taken as they are.

    Args:
        image: Of any mode.
        stored: What :func:`raw_mode` said before it was loaded.

    Raises:
        ValueError: another mode, or values outside these ranges; names both.

    Examples:
        >>> pixel = Image.new('I;16', (1, 1), 65535)
        >>> to_eight_bits(pixel).getpixel((0, 0))
        255
    """
    mode = image.mode
    if mode in ('L', 'RGB') and 'transparency' not in image.info:
        return image
    if mode.startswith('I;16') or mode in ('I', 'F'):
        return _from_numbers(image)
    if mode in ('1', 'L', 'RGB') and 'transparency' in image.info:
        return _with_colour_key(image, stored)
    if mode in WITH_ALPHA or 'transparency' in image.info:
        return _on_white(image)
    if mode == 'LAB':
        profiles = ImageCms.createProfile('LAB'), ImageCms.createProfile('sRGB')
        converted = ImageCms.profileToProfile(image, *profiles, outputMode='RGB')
        # None is returned only where an image is converted in place.
        return cast('Image.Image', converted)
    if mode in _DIRECT:
        return image.convert(_DIRECT[mode])
    raise ValueError(f'images of mode {mode} are not supported, convert them to 8-bit grey or RGB')


def raw_mode(image: Image.Image) -> str:
    """How the file stores its numbers, as Pillow calls it: ``'RGB;16B'``; '' if it does not say.

    It is gone once the pixels are loaded.
    """
    tiles = getattr(image, 'tile', None)
    args = tiles[0][3] if tiles else ''
    name = args[0] if isinstance(args, tuple) and args else args
    return name if isinstance(name, str) else ''


def unusual(image: Image.Image) -> list[str]:
    """What of an opened image, not yet loaded, is not plain 8-bit grey, RGB or a palette."""
    found, mode, stored = [], image.mode, raw_mode(image)
    if mode.startswith('I;16') or '16' in stored:
        found.append(f'16 bits (mode {mode})')
    elif mode in ('I', 'F'):
        found.append('32-bit integers (mode I)' if mode == 'I' else 'float (mode F)')
    elif mode in ('CMYK', 'YCbCr', 'LAB', 'HSV'):
        found.append(f'mode {mode}')
    if mode in WITH_ALPHA:
        found.append(f'alpha channel (mode {mode}), laid on white')
    elif 'transparency' in image.info:
        what = 'palette with transparency' if mode == 'P' else 'a transparent colour'
        found.append(f'{what} (mode {mode}), laid on white')
    if getattr(image, 'is_animated', False):
        found.append('several frames, of which the first is taken')
    return found


def _from_numbers(image: Image.Image) -> Image.Image:
    """Grey images of 12, 16 or 32 bits, or of floats."""
    tags = getattr(image, 'tag_v2', {})
    numbers = np.asarray(image)
    if image.mode.startswith('I;16'):
        grey = (numbers >> (4 if tuple(tags.get(_BITS, ())) == (12,) else 8)).astype(np.uint8)
    elif image.mode == 'I' and image.format in ('PPM', 'PNG'):
        grey = (_within(image, numbers, 65535) >> 8).astype(np.uint8)
    elif image.mode == 'I':
        grey = _within(image, numbers, 255).astype(np.uint8)
    else:
        values = _within(image, numbers, 255)
        scale = 255 if values.max() <= 1 else 1
        grey = np.round(values * np.float64(scale)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    if 'transparency' in image.info:
        grey[numbers == image.info['transparency']] = 255
    return Image.fromarray(grey)


def _within(image: Image.Image, numbers: np.ndarray, most: int) -> np.ndarray:
    low, high = numbers.min(), numbers.max()
    if low >= 0 and high <= most:  # False for NaN
        return numbers
    what, expected = '32-bit integers', f'[0, {most}]'
    if image.mode == 'F':
        what, expected = 'float', '[0, 1] or [0, 255]'
    raise ValueError(
        f'mode {image.mode} ({what}) with values from {low:g} to {high:g}, expected {expected}: '
        'nothing says which of them is white, convert it to 8 or 16 bits'
    )


def _with_colour_key(image: Image.Image, stored: str) -> Image.Image:
    """Grey or RGB where one colour means transparent."""
    if '16' in stored:
        raise ValueError(
            f'mode {stored}, 16 bits, with a transparent colour, which Pillow cannot tell from its '
            'neighbours: convert it to 8 bits or to an alpha channel'
        )
    pixels = np.array(image.convert('L') if image.mode == '1' else image)
    colour = np.asarray(image.info['transparency']) * _GREY_STEP.get(stored, 1)
    equal = pixels == colour
    pixels[equal if pixels.ndim == 2 else equal.all(-1)] = 255
    return Image.fromarray(pixels)


def to_rgba(image: Image.Image) -> Image.Image:
    """Convert any mode with alpha, or a palette with transparent colours, to RGBA."""
    return (image.convert('LA') if image.mode == 'La' else image).convert('RGBA')


def _on_white(image: Image.Image) -> Image.Image:
    rgba = to_rgba(image)
    white = Image.new('RGB', image.size, 'white')
    white.paste(rgba, mask=rgba.getchannel('A'))
    return white
