"""Image files made byte by byte, or by Pillow."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    """The file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(numbers: np.ndarray, bits: int, key: tuple[int, ...] = ()) -> bytes:
    """A PNG of grey (H, W) or RGB (H, W, 3) numbers of 1 to 16 bits, with a transparent colour."""
    height, width = numbers.shape[:2]
    colour = 2 if numbers.ndim == 3 else 0
    header = struct.pack('>IIBBBBB', width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(b''.join(b'\0' + _packed(row, bits) for row in numbers))
    chunks = [(b'IHDR', header), (b'IDAT', data), (b'IEND', b'')]
    if key:
        chunks.insert(1, (b'tRNS', struct.pack(f'>{len(key)}H', *key)))
    return b'\x89PNG\r\n\x1a\n' + b''.join(_chunk(*chunk) for chunk in chunks)


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG of this size, without any pixel."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', header) + _chunk(b'IDAT', zlib.compress(b''))


def _packed(row: np.ndarray, bits: int) -> bytes:
    if bits >= 8:
        return row.astype('>u2' if bits == 16 else np.uint8).tobytes()
    return np.packbits((row[:, None] >> np.arange(bits)[::-1]) & 1).tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def tiff(
    numbers: np.ndarray, order: str = '<', photometric: int = 1, bits: int = 0, kind: int = 0
) -> bytes:
    """An uncompressed TIFF of grey (H, W) or (H, W, channels) numbers of any type.

    Args:
        numbers: Of the image.
        order: ``'<'`` little or ``'>'`` big endian.
        photometric: 0: white is zero, 1: black is zero, 2: RGB.
        bits: Of a number, by default those of the type; 12 packs two in three bytes.
        kind: Sample format: 1 unsigned, 2 signed, 3 float; by default that of the type.
    """
    height, width = numbers.shape[:2]
    channels = numbers.shape[2] if numbers.ndim == 3 else 1
    kind = kind or {'u': 1, 'i': 2, 'f': 3}[numbers.dtype.kind]
    data = _twelve(numbers) if bits == 12 else numbers.astype(numbers.dtype.newbyteorder(order))
    data = data if isinstance(data, bytes) else data.tobytes()
    bits = bits or 8 * numbers.dtype.itemsize
    entries = [
        (256, 4, (width,)),
        (257, 4, (height,)),
        (258, 3, (bits,) * channels),
        (259, 3, (1,)),
        (262, 3, (photometric,)),
        (273, 4, (0,)),  # where the data begin
        (277, 3, (channels,)),
        (278, 4, (height,)),
        (279, 4, (len(data),)),
        (339, 3, (kind,) * channels),
    ]
    start = 8 + 2 + 12 * len(entries) + 4
    extra, rows = b'', b''
    for tag, code, values in entries:
        packed = struct.pack(f'{order}{len(values)}{"HI"[code == 4]}', *values)
        if len(packed) > 4:
            offset, extra = start + len(extra), extra + packed
            packed = struct.pack(f'{order}I', offset)
        rows += struct.pack(f'{order}HHI', tag, code, len(values)) + packed.ljust(4, b'\0')
    place = rows.index(struct.pack(f'{order}HHI', 273, 4, 1)) + 8
    rows = rows[:place] + struct.pack(f'{order}I', start + len(extra)) + rows[place + 4 :]
    mark = b'II*\0' if order == '<' else b'MM\0*'
    head = mark + struct.pack(f'{order}I', 8) + struct.pack(f'{order}H', len(entries))
    return head + rows + b'\0\0\0\0' + extra + data


def _twelve(numbers: np.ndarray) -> bytes:
    return b''.join(
        np.packbits((row[:, None] >> np.arange(12)[::-1]) & 1).tobytes() for row in numbers
    )
