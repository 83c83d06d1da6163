"""Generated images of unusual formats and modes, written by OpenCV, and files that are damaged.

What OpenCV writes is known to the last number, so that what a viewer shows can be calculated: the
upper 8 of 16 bits, [0, 1] of floats as black to white, transparency on white.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from helpers.cases import generated, right_or_refused
from hypothesis import strategies as st

from mmmlc.datasets.image_files import BrokenImageError
from mmmlc.datasets.transforms import LoadImage

_TIFF = cv2.IMWRITE_TIFF_COMPRESSION
# Suffix, types, channels, and what makes OpenCV write it without loss.
_KINDS = (
    ('.png', ('uint8', 'uint16'), (1, 3, 4), ()),
    ('.tif', ('uint8', 'uint16', 'float32'), (1, 3, 4), (_TIFF, cv2.IMWRITE_TIFF_COMPRESSION_NONE)),
    ('.tif', ('uint8', 'uint16', 'float32'), (1, 3, 4), (_TIFF, cv2.IMWRITE_TIFF_COMPRESSION_LZW)),
    ('.tif', ('uint8', 'uint16'), (1, 3, 4), (_TIFF, cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE)),
    ('.tif', ('uint8',), (1, 3), (_TIFF, cv2.IMWRITE_TIFF_COMPRESSION_PACKBITS)),
    ('.bmp', ('uint8',), (1, 3, 4), ()),
    ('.webp', ('uint8',), (3, 4), (cv2.IMWRITE_WEBP_QUALITY, 101)),
    ('.jp2', ('uint8', 'uint16'), (1, 3), (cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000)),
    ('.ppm', ('uint8', 'uint16'), (3,), ()),
    ('.pgm', ('uint8', 'uint16'), (1,), ()),
)


class Written(NamedTuple):
    """What decides a file; short, as hypothesis prints it."""

    suffix: str
    dtype: str
    channels: int
    options: tuple[int, ...]
    size: tuple[int, int]
    most: int  # of floats
    seed: int

    def numbers(self) -> np.ndarray:
        random, shape = np.random.default_rng(self.seed), (*self.size, self.channels)
        if self.dtype == 'float32':
            return random.random(shape, np.float32) * np.float32(self.most)
        return random.integers(0, np.iinfo(self.dtype).max, shape, self.dtype, endpoint=True)

    def content(self) -> bytes:
        numbers = self.numbers()
        squeezed = numbers[..., 0] if self.channels == 1 else numbers
        written, content = cv2.imencode(self.suffix, squeezed, self.options)
        assert written
        return content.tobytes()


@st.composite
def _written(draw):
    suffix, types, channels, options = draw(st.sampled_from(_KINDS))
    return Written(
        *(suffix, draw(st.sampled_from(types)), draw(st.sampled_from(channels)), options),
        size=(draw(st.integers(32, 48)), draw(st.integers(32, 48))),  # JPEG 2000 begins at 32
        most=draw(st.sampled_from((1, 255, 7000))),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def _shown(numbers: np.ndarray) -> np.ndarray:
    """BGR as a viewer shows these numbers, float."""
    values = numbers.astype(np.float64)
    if numbers.dtype == np.uint16:
        values = np.floor(values / 256)
    elif numbers.dtype == np.float32 and values.max() <= 1:
        values = values * 255
    if numbers.shape[2] == 4:
        alpha = values[..., 3:] / 255
        values = alpha * values[..., :3] + (1 - alpha) * 255
    return np.broadcast_to(values, (*values.shape[:2], 3))


@generated(st.tuples(_written(), st.sampled_from(('pillow', 'cv2'))), share=4)
def images(case, folder):
    written, backend = case
    numbers, path = written.numbers(), folder / f'image{written.suffix}'
    path.write_bytes(written.content())
    returned, image = right_or_refused(
        lambda: LoadImage(imdecode_backend=backend)({'img_path': str(path)})['img'],
        f'{path}: ',
        errors=(BrokenImageError,),
    )
    assert returned or numbers.dtype != np.uint8, f'of 8 bits: {image}'
    if returned:
        # Half a step by rounding, and one where alpha has only its upper 8 bits.
        np.testing.assert_allclose(image, _shown(numbers), atol=1.01)


@generated(st.tuples(_written(), st.floats(0, 1), st.integers(1, 255)), share=2)
def damaged_images(case, folder):
    """Pixels, or an error that names the file."""
    written, place, change = case
    damaged = bytearray(written.content())
    damaged[int(place * (len(damaged) - 1))] ^= change
    path = folder / f'damaged{written.suffix}'
    path.write_bytes(damaged)
    returned, image = right_or_refused(
        lambda: LoadImage()({'img_path': str(path)})['img'], f'{path}: ', errors=(BrokenImageError,)
    )
    assert not returned or (image.dtype == np.uint8 and image.ndim == 3)
