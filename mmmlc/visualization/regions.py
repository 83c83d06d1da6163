"""Draw predictions: attentional regions with class and scores, and the predicted labels.

C: classes, N: regions per image, R: proposals per image.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mmmlc.neutral import safe_line
from mmmlc.ops.boxes import to_pixels
from mmmlc.plots import picture_font

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

# Small images are enlarged to this shorter side: text on 96 pixels can't be read.
MIN_SIDE = 384
FONT_SIZE = 15
MARGIN = 4
# Of the views of mmmlc.TenViews: the regions of ten views on one picture could not be told apart.
CENTRE_VIEW = 4
MAX_REGIONS = 10  # detectors give a hundred
MIN_REGION_SCORE = 0.005  # what is below reads 0.00: boxes of a detector that found nothing there
BLUE = (90, 160, 255)


def class_colour(index: int) -> tuple[int, int, int]:
    """A bright RGB colour, far apart for neighbouring class indices."""
    golden_ratio = 0.61803398875
    red, green, blue = colorsys.hsv_to_rgb(index * golden_ratio % 1, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_prediction(
    image: Image.Image,
    sample: DataSample,
    classes: Sequence[str],
    min_score: float | None = 0.6,
    min_local: float = 0.1,
    proposals: Tensor | None = None,
) -> Image.Image:
    """Draw a prediction, with its regions as in Fig. 6 of MCAR or Fig. 5 of RDAL.

    With the scores of two streams (MCAR) a region is drawn where its class has a local score above
    ``min_local`` and a final score above ``min_score``, and labelled "class global/final". Without
    (RDAL, WSDDN) the first ten regions are drawn, numbered in the order of the visits or of the
    scores, with their class and its score there; in the order of the scores those below 0.005 are
    left out, unless it is the first. With ``contexts`` (SCA-DNN) the regions whose score is above
    ``min_score`` are drawn in the colour of their class, each with its context patch in thin lines.
    Of several views only the central one's regions are drawn. Below the image: the predicted
    labels, best first, and the true ones when the sample has them.

    Args:
        image: The original image.
        sample: With ``pred_score`` and ``pred_label``; for regions also ``pred_instances``, see
            :mod:`mmmlc.models.instances`, and for MCAR's ``global_score`` and ``local_score``.
        classes: Names of the C classes.
        min_score: In [0, 1]; None draws the regions of the predicted labels.
        min_local: In [0, 1].
        proposals: (R, 4) x1, y1, x2, y2 as fractions of the image, best first: drawn in blue on a
            second copy of the image, to the right.

    Returns:
        The picture, at least 384 pixels on the shorter side of the image.
    """
    scale = max(1.0, MIN_SIDE / min(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    picture = image.convert('RGB').resize(size, Image.Resampling.LANCZOS)
    copy = picture.copy()
    classes = [safe_line(name) for name in classes]
    found = sample.get('pred_instances', InstanceData())
    if 'views' in found:
        found = found[found.views == CENTRE_VIEW]
    if min_score is None:
        found = found[torch.isin(found.labels, sample.pred_label)] if 'labels' in found else found
        min_score = -1.0
    if 'contexts' in found:
        _draw_with_contexts(picture, found, classes, scale, min_score)
    elif 'bboxes' in found and 'local_score' in sample:
        _draw_streams(picture, sample, found, classes, scale, min_score, min_local)
    elif 'bboxes' in found:
        _draw_in_order(picture, found, classes, scale)
    if proposals is not None:
        numbers = [str(i + 1) for i in range(len(proposals))]
        _draw_boxes(
            copy, to_pixels(proposals, copy.size[::-1]).tolist(), numbers, [BLUE] * len(numbers)
        )
        picture = _beside(picture, copy)
    return _add_caption(picture, _captions(sample, classes))


def _draw_streams(
    picture: Image.Image,
    sample: DataSample,
    found: InstanceData,
    classes: Sequence[str],
    scale: float,
    min_score: float,
    min_local: float,
) -> None:
    scores, local = sample.pred_score.tolist(), sample.local_score.tolist()
    boxes = (found.bboxes * scale).tolist()
    shown = [
        (box, label)
        for box, label in zip(boxes, found.labels.tolist(), strict=True)
        if scores[label] > min_score and local[label] > min_local
    ]
    texts = [
        f'{classes[label]} {sample.global_score[label]:.2f}/{scores[label]:.2f}'
        for _, label in shown
    ]
    colours = [class_colour(label) for _, label in shown]
    _draw_boxes(picture, [box for box, _ in shown], texts, colours)


def _draw_in_order(
    picture: Image.Image, found: InstanceData, classes: Sequence[str], scale: float
) -> None:
    fields = (found.bboxes * scale, found.labels, found.scores)
    boxes, labels, scores = (field[:MAX_REGIONS].tolist() for field in fields)
    best = zip(labels, scores, strict=True)
    texts = [f'{k} {classes[label]} {score:.2f}' for k, (label, score) in enumerate(best, 1)]
    # Detections come best first. Regions that were visited one after the other are all shown.
    ranked = scores == sorted(scores, reverse=True)
    shown = [k for k, x in enumerate(scores) if k == 0 or not ranked or x >= MIN_REGION_SCORE]
    boxes, texts = [boxes[k] for k in shown], [texts[k] for k in shown]
    _draw_boxes(picture, boxes, texts, [class_colour(k) for k in shown])


def _draw_with_contexts(
    picture: Image.Image,
    found: InstanceData,
    classes: Sequence[str],
    scale: float,
    min_score: float,
) -> None:
    found = found[(found.scores > min_score).nonzero()[:MAX_REGIONS, 0]]
    boxes, labels, scores = (
        (found.bboxes * scale).tolist(),
        found.labels.tolist(),
        found.scores.tolist(),
    )
    colours = [class_colour(label) for label in labels]
    draw = ImageDraw.Draw(picture)
    contexts = (found.contexts * scale).tolist()
    for box, colour in zip(contexts, colours, strict=True):
        draw.rectangle(box, outline=colour, width=1)
    best = zip(labels, scores, strict=True)
    texts = [f'{classes[label]} {score:.2f}' for label, score in best]
    _draw_boxes(picture, boxes, texts, colours)


def _draw_boxes(
    picture: Image.Image,
    boxes: list[list[float]],
    texts: list[str],
    colours: list[tuple[int, int, int]],
) -> None:
    draw = ImageDraw.Draw(picture)
    for box, colour in zip(boxes, colours, strict=True):
        draw.rectangle(box, outline=colour, width=3)
    taken: list[tuple[float, float, float, float]] = []
    # After all boxes, so that no line crosses a text.
    for box, text, colour in zip(boxes, texts, colours, strict=True):
        taken.append(_draw_tag(draw, picture.size, box, text, colour, taken))


def _beside(left: Image.Image, right: Image.Image) -> Image.Image:
    both = Image.new('RGB', (left.width + MARGIN + right.width, left.height), 'white')
    both.paste(left)
    both.paste(right, (left.width + MARGIN, 0))
    return both


def _draw_tag(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: list[float],
    text: str,
    colour: tuple[int, int, int],
    taken: list[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    font = picture_font(FONT_SIZE, text)
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


def _wrap(line: str, width: int, font: Font) -> list[str]:
    rows = ['']
    for word in line.split(' '):
        joined = f'{rows[-1]} {word}'.strip()
        if rows[-1] and font.getlength(joined) > width:
            rows.append(f'    {word}')
        else:
            rows[-1] = joined
    return rows


def _add_caption(picture: Image.Image, lines: list[str]) -> Image.Image:
    font = picture_font(FONT_SIZE, *lines)
    rows = [row for line in lines for row in _wrap(line, picture.width - 2 * MARGIN, font)]
    step = FONT_SIZE + 5
    result = Image.new('RGB', (picture.width, picture.height + step * len(rows) + MARGIN), 'white')
    result.paste(picture)
    draw = ImageDraw.Draw(result)
    for index, row in enumerate(rows):
        draw.text((MARGIN, picture.height + 2 + index * step), row, fill='black', font=font)
    return result
