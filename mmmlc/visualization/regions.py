"""Draw predictions: attentional regions with class and scores, and the predicted labels.

C: classes, N: regions per image.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence

from mmengine import fileio
from mmpretrain.structures import DataSample
from PIL import Image, ImageDraw, ImageFont, ImageOps

# Small images are enlarged to this shorter side: text on 96 pixels can't be read.
MIN_SIDE = 384
FONT_SIZE = 15
MARGIN = 4


def read_rgb(path: str) -> Image.Image:
    """Read an image, from disk or any backend of mmengine, as the loader of the pipeline does."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(fileio.get(path)))).convert('RGB')


def class_colour(index: int) -> tuple[int, int, int]:
    """A bright RGB colour, far apart for neighbouring class indices."""
    golden_ratio = 0.61803398875
    red, green, blue = colorsys.hsv_to_rgb(index * golden_ratio % 1, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_prediction(
    image: Image.Image,
    sample: DataSample,
    classes: Sequence[str],
    min_score: float = 0.6,
    min_local: float = 0.1,
) -> Image.Image:
    """Draw a prediction as in Fig. 6 of MCAR.

    A region is drawn where its class has a local score above ``min_local`` and a final score above
    ``min_score``, and labelled "class global/final". Below the image: the predicted labels, best
    first, and the true ones when the sample has them.

    Args:
        image: The original image.
        sample: With ``pred_score`` and ``pred_label``; for regions also ``regions_original``,
            ``region_labels``, ``global_score`` and ``local_score``.
        classes: Names of the C classes.
        min_score: In [0, 1].
        min_local: In [0, 1].

    Returns:
        The picture, at least 384 pixels on its shorter side.
    """
    scale = max(1.0, MIN_SIDE / min(image.size))
    size = tuple(round(side * scale) for side in image.size)
    picture = image.convert('RGB').resize(size, Image.Resampling.LANCZOS)
    if 'regions_original' in sample:
        _draw_regions(picture, sample, classes, scale, min_score, min_local)
    return _add_caption(picture, _captions(sample, classes))


def _draw_regions(
    picture: Image.Image,
    sample: DataSample,
    classes: Sequence[str],
    scale: float,
    min_score: float,
    min_local: float,
) -> None:
    draw = ImageDraw.Draw(picture)
    scores, local = sample.pred_score.tolist(), sample.local_score.tolist()
    boxes = (sample.regions_original * scale).tolist()
    shown = [
        (box, label)
        for box, label in zip(boxes, sample.region_labels.tolist(), strict=True)
        if scores[label] > min_score and local[label] > min_local
    ]
    for box, label in shown:
        draw.rectangle(box, outline=class_colour(label), width=3)
    taken: list[tuple[float, float, float, float]] = []
    for box, label in shown:  # after all boxes, so that no line crosses a text
        text = f'{classes[label]} {sample.global_score[label]:.2f}/{scores[label]:.2f}'
        taken.append(_draw_tag(draw, picture.size, box, text, class_colour(label), taken))


def _draw_tag(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: list[float],
    text: str,
    colour: tuple[int, int, int],
    taken: list[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    font = ImageFont.load_default(FONT_SIZE)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * MARGIN, bottom - top + 2 * MARGIN
    x = min(max(box[0], 0), max(size[0] - width, 0))
    y = min(max(box[1], 0), size[1] - height)
    while any(_overlap((x, y, x + width, y + height), other) for other in taken):
        if y + 2 * height > size[1]:
            break
        y += height
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    draw.text((x + MARGIN - left, y + MARGIN - top), text, fill='black', font=font)
    return (x, y, x + width, y + height)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _captions(sample: DataSample, classes: Sequence[str]) -> list[str]:
    scores = sample.pred_score.tolist()
    predicted = sorted(sample.pred_label.tolist(), key=lambda label: -scores[label])
    names = ', '.join(f'{classes[label]} {scores[label]:.2f}' for label in predicted)
    lines = [f'predicted: {names or "nothing"}']
    if 'gt_label' in sample:
        true = ', '.join(classes[label] for label in sample.gt_label.tolist())
        lines.append(f'true: {true or "nothing"}')
    return lines


def _wrap(line: str, width: int, font: ImageFont.ImageFont) -> list[str]:
    rows = ['']
    for word in line.split(' '):
        joined = f'{rows[-1]} {word}'.strip()
        if rows[-1] and font.getlength(joined) > width:
            rows.append(f'    {word}')
        else:
            rows[-1] = joined
    return rows


def _add_caption(picture: Image.Image, lines: list[str]) -> Image.Image:
    font = ImageFont.load_default(FONT_SIZE)
    rows = [row for line in lines for row in _wrap(line, picture.width - 2 * MARGIN, font)]
    step = FONT_SIZE + 5
    result = Image.new('RGB', (picture.width, picture.height + step * len(rows) + MARGIN), 'white')
    result.paste(picture)
    draw = ImageDraw.Draw(result)
    for index, row in enumerate(rows):
        draw.text((MARGIN, picture.height + 2 + index * step), row, fill='black', font=font)
    return result
