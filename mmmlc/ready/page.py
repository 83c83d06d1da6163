"""A page to look at predictions: one file, with small pictures, regions and a filter."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mmmlc.datasets.decoding import read_rgb
from mmmlc.neutral import safe_line

from .model import Prediction

_TEMPLATE = Path(__file__).with_name('page.html')
_SIDE = 240  # longest, of a picture


@contextlib.contextmanager
def page_writer(path: Path, classes: Sequence[str]) -> Iterator[Callable[[Prediction], None]]:
    """A function that adds a prediction of an image file to a page.

    Filter by label and score; regions appear where the pointer is. Nothing is fetched.

    Args:
        path: The page.
        classes: Names of the C classes.
    """
    head, rest = _TEMPLATE.read_text(encoding='utf-8').split('CLASSES', 1)
    middle, tail = rest.split('PHOTOS', 1)
    names = [safe_line(name) for name in classes]
    number = {name: index for index, name in enumerate(classes)}
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'{head}{_script(names)}{middle}')

        def write(found: Prediction) -> None:
            picture = read_rgb(found.image)
            file.write(f'photos.push({_script(_card(found, picture, number))});\n')

        yield write
        file.write(tail)


def _card(found: Prediction, picture: Image.Image, number: dict[str, int]) -> dict[str, Any]:
    width, height = picture.size
    picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG', quality=80)
    regions = []
    for region in found.regions:
        x1, y1, x2, y2 = region.box
        box = (x1 / width, y1 / height, x2 / width, y2 / height)
        regions.append([*(round(side, 4) for side in box), number[region.label], region.score])
    return dict(
        image=safe_line(found.image),
        labels=[number[name] for name in found.labels],
        scores=[round(score, 4) for score in found.scores.values()],
        regions=regions,
        picture=base64.b64encode(buffer.getvalue()).decode(),
    )


def _script(value: Any) -> str:
    """As JSON that cannot end the script it stands in."""
    return json.dumps(value).replace('<', '\\u003c')
