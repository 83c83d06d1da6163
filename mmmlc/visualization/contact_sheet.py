"""A picture of many images with their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from mmmlc.datasets.decoding import read_rgb
from mmmlc.plots import picture_font

from .regions import Font

WIDTH, HEIGHT = 240, 180  # of an image on the sheet, at most
FONT_SIZE = 15
ROWS = 4  # of text under an image
GAP = 10


def choose_images(
    labels: Sequence[Sequence[int]], num_classes: int, count: int, seed: int = 0
) -> list[int]:
    """Pick images at random such that each class is there, rare ones first, as far as they fit.

    Args:
        labels: classes of each image.
        num_classes: C.
        count: how many to pick, at most.
        seed: of the random choice.

    Returns:
        Indices into ``labels``, ascending.
    """
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    images_of: list[list[int]] = [[] for _ in range(num_classes)]
    for index in order:
        for label in labels[index]:
            images_of[label].append(index)
    chosen: dict[int, None] = {}
    shown: set[int] = set()
    for label in sorted(range(num_classes), key=lambda label: len(images_of[label])):
        if images_of[label] and label not in shown and len(chosen) < count:
            chosen[images_of[label][0]] = None
            shown.update(labels[images_of[label][0]])
    rest = [index for index in order if index not in chosen]
    return sorted([*chosen, *rest[: count - len(chosen)]])


def draw_contact_sheet(
    paths: Sequence[str],
    texts: Sequence[Sequence[str]],
    title: str,
    columns: int = 6,
    load: Callable[[str], Image.Image] = read_rgb,
) -> Image.Image:
    """Put images side by side, each over its texts.

    Args:
        paths: image files.
        texts: of each image: names of its labels. Too many end in "+n".
        title: on top.
        columns: images in a row of the sheet.
        load: reads an image in RGB; by default turned as its EXIF says.
    """
    font = picture_font(FONT_SIZE, title, *(word for words in texts for word in words))
    step = FONT_SIZE + 4
    columns = max(1, min(columns, len(paths)))
    lines = [_fit(words, font) for words in texts]
    rows = [
        range(start, min(start + columns, len(paths))) for start in range(0, len(paths), columns)
    ]
    heights = [HEIGHT + step * max(len(lines[i]) for i in row) + GAP for row in rows]
    top = 2 * GAP + FONT_SIZE + 6
    size = (columns * (WIDTH + GAP) + GAP, top + sum(heights) + GAP)
    sheet = Image.new('RGB', size, 'white')
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, fill='black', font=picture_font(FONT_SIZE + 4))
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            left = GAP + column * (WIDTH + GAP)
            _paste(sheet, load(paths[index]), left, top)
            for number, line in enumerate(lines[index]):
                draw.text((left, top + HEIGHT + 2 + number * step), line, fill='black', font=font)
        top += height
    return sheet


def _paste(sheet: Image.Image, image: Image.Image, left: int, top: int) -> None:
    """Paste an image, as large as it may be, on a grey ground."""
    sheet.paste((235, 235, 235), (left, top, left + WIDTH, top + HEIGHT))
    scale = min(WIDTH / image.width, HEIGHT / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    sheet.paste(image, (left + (WIDTH - size[0]) // 2, top + (HEIGHT - size[1]) // 2))


def _fit(words: Iterable[str], font: Font) -> list[str]:
    """Break words into at most ROWS lines of the width of an image."""
    words = [_cut(word, font) for word in words]
    lines = ['']
    for number, word in enumerate(words):
        longer = f'{lines[-1]}, {word}' if lines[-1] else word
        if font.getlength(f'{longer},') <= WIDTH:
            lines[-1] = longer
        elif len(lines) < ROWS:
            lines[-1] += ','
            lines.append(word)
        else:
            lines[-1] = _cut(lines[-1], font, f' +{len(words) - number}')
            break
    return lines


def _cut(text: str, font: Font, end: str = '') -> str:
    if font.getlength(text + end) <= WIDTH - 8:
        return text + end
    while text and font.getlength(f'{text}…{end}') > WIDTH - 8:
        text = text[:-1]
    return f'{text}…{end}'
