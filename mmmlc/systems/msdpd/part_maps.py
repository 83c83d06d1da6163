"""Maps of part detectors over an image. K: part detectors, (h, w): map size."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from mmmlc.plots import picture_font

SIDE = 192
GAP = 4
LINE = 16


class PartMap(NamedTuple):
    """The map of one detector and what is written below it."""

    values: np.ndarray  # (h, w) probabilities
    caption: str


def draw_part_map(image: Image.Image, values: np.ndarray, side: int = SIDE) -> Image.Image:
    """Lay the map of a detector over an image: dark where it is low, bright where it is highest.

    Args:
        image: The image as the network saw it.
        values: (h, w) probabilities; scaled by their maximum.
        side: Shorter side of the picture in pixels.
    """
    factor = side / min(image.size)
    size = (round(image.width * factor), round(image.height * factor))
    scaled = values / max(float(values.max()), 1e-12)
    heat = Image.fromarray((colormaps['inferno'](scaled)[..., :3] * 255).astype(np.uint8))
    heat = heat.resize(size, Image.Resampling.BILINEAR)
    return Image.blend(image.convert('RGB').resize(size, Image.Resampling.LANCZOS), heat, 0.55)


def draw_part_maps(
    image: Image.Image, rows: Sequence[Sequence[PartMap]], title: str = ''
) -> Image.Image:
    """The image, and beside it a row of maps for each scale with their captions.

    Args:
        image: The image as the network saw it.
        rows: Maps of each scale.
        title: Written below the image.
    """
    cells = [[draw_part_map(image, part.values) for part in row] for row in rows]
    width, height = cells[0][0].size
    step_x, step_y = width + GAP, height + 2 * LINE + GAP
    columns = 1 + max(len(row) for row in rows)
    sheet = Image.new('RGB', (columns * step_x, len(rows) * step_y), 'white')
    texts = [title, *(part.caption for row in rows for part in row)]
    draw, font = ImageDraw.Draw(sheet), picture_font(10, *texts)
    sheet.paste(image.convert('RGB').resize((width, height), Image.Resampling.LANCZOS), (0, 0))
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, 32)]
    draw.multiline_text((2, height + 2), '\n'.join(lines), 'black', font)
    for y, (row, pictures) in enumerate(zip(rows, cells, strict=True)):
        for x, (part, picture) in enumerate(zip(row, pictures, strict=True), start=1):
            sheet.paste(picture, (x * step_x, y * step_y))
            draw.multiline_text(
                (x * step_x + 2, y * step_y + height + 2), part.caption, 'black', font
            )
    return sheet
