"""The drawn vocabulary of ToyScenes: classes made of bodies and shared parts, and their shapes.

Shapes live in a unit box, x right and y down; colours are BGR, 0 to 255.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np


class ToyClass(NamedTuple):
    """A class: what it is called, its body, its part, the part's boxes (cx, cy, side)."""

    name: str
    body: str
    part: str
    slots: tuple[tuple[float, float, float], ...]


CLASSES = (
    ToyClass('bus', 'vehicle', 'screen', ((-0.18, -0.17, 0.48),)),
    ToyClass('tractor', 'vehicle', 'wheel', ((-0.22, -0.02, 0.48),)),
    ToyClass('news_van', 'vehicle', 'antenna', ((-0.18, -0.2, 0.5),)),
    ToyClass('racing_car', 'vehicle', 'wing', ((-0.24, -0.18, 0.54),)),
    ToyClass('airplane', 'aircraft', 'wing', ((0.0, -0.04, 0.54),)),
    ToyClass('helicopter', 'aircraft', 'propeller', ((0.08, -0.2, 0.56),)),
    ToyClass('radar_plane', 'aircraft', 'antenna', ((0.06, -0.24, 0.54),)),
    ToyClass('lander', 'aircraft', 'legs', ((0.04, 0.26, 0.48),)),
    ToyClass('sailboat', 'boat', 'wing', ((-0.14, -0.18, 0.54),)),
    ToyClass('ferry', 'boat', 'screen', ((-0.16, -0.1, 0.46),)),
    ToyClass('airboat', 'boat', 'propeller', ((-0.18, -0.12, 0.54),)),
    ToyClass('paddle_steamer', 'boat', 'wheel', ((-0.18, 0.0, 0.48),)),
    ToyClass('television', 'furniture', 'screen', ((-0.1, 0.0, 0.46),)),
    ToyClass('table', 'furniture', 'legs', ((0.0, 0.32, 0.46),)),
    ToyClass('radio', 'furniture', 'antenna', ((-0.14, -0.34, 0.46),)),
    ToyClass('trolley', 'furniture', 'wheel', ((0.0, 0.26, 0.44),)),
    ToyClass('walker', 'robot', 'legs', ((0.0, 0.36, 0.46),)),
    ToyClass('rover', 'robot', 'wheel', ((0.0, 0.32, 0.44),)),
    ToyClass('kiosk', 'robot', 'screen', ((0.0, 0.08, 0.44),)),
    ToyClass('drone', 'robot', 'propeller', ((0.0, -0.42, 0.5),)),
)
PARTS = ('wheel', 'wing', 'screen', 'antenna', 'propeller', 'legs')
BODY_HUES = {'vehicle': 0, 'aircraft': 45, 'boat': 222, 'furniture': 145, 'robot': 295}  # degrees


class Shape(NamedTuple):
    """A filled polygon (K, 2) with the name of its tone; ``part`` marks the telling part."""

    points: np.ndarray
    tone: str
    part: bool = False


def bgr(code: str) -> np.ndarray:
    """Colour of a code such as 'ff8000' (red, green, blue), as float BGR."""
    return np.array([int(code[i : i + 2], 16) for i in (4, 2, 0)], np.float64)


_TURNS = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], 1)


def rotation(angle: float) -> np.ndarray:
    """Matrix (2, 2) that turns row vectors by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([(c, s), (-s, c)])


def rect(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Corners (4, 2) of a rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)


def disc(cx: float, cy: float, rx: float, ry: float | None = None, turn: float = 0.0) -> np.ndarray:
    """Outline (28, 2) of an ellipse, turned by an angle in radians."""
    points = _CIRCLE * (rx, rx if ry is None else ry)
    return points @ rotation(turn) + (cx, cy)


@lru_cache
def part_shapes(kind: str) -> tuple[Shape, ...]:
    """Shapes of a part in the unit box (-0.5 to 0.5), tones 'black' and 'white'."""
    if kind == 'wheel':
        layers = [(disc(0, 0, r), tone) for r, tone in ((0.5, 'black'), (0.3, 'white'))]
        layers.append((disc(0, 0, 0.1), 'black'))
    elif kind == 'wing':
        outer = np.array([(-0.5, 0.42), (0.12, -0.5), (0.5, -0.5), (0.32, 0.42)])
        inner = np.array([(-0.3, 0.32), (0.16, -0.39), (0.38, -0.39), (0.24, 0.32)])
        layers = [(outer, 'black'), (inner, 'white')]
    elif kind == 'screen':
        layers = [
            (rect(-0.5, -0.42, 0.5, 0.42), 'black'),
            (rect(-0.36, -0.28, 0.36, 0.28), 'white'),
        ]
    elif kind == 'antenna':
        bowl = disc(0, -0.1, 0.5, 0.42)
        bowl = bowl[bowl[:, 1] >= -0.1001]
        layers = [(rect(-0.09, 0.1, 0.09, 0.5), 'black'), (bowl, 'black')]
        layers += [(bowl * (0.7, 0.62) + (0, -0.01), 'white'), (disc(0, -0.36, 0.13), 'black')]
        layers.append((rect(-0.04, -0.36, 0.04, -0.05), 'black'))
    elif kind == 'propeller':
        layers = [(disc(0, 0, 0.55, 0.17, t), 'black') for t in (0.6, -0.6)]
        layers += [(disc(0, 0, 0.45, 0.09, t), 'white') for t in (0.6, -0.6)]
        layers.append((disc(0, 0, 0.12), 'black'))
    elif kind == 'legs':
        layers = [(rect(x - 0.17, -0.5, x + 0.17, 0.5), 'black') for x in (-0.33, 0.33)]
        layers += [(rect(x - 0.07, -0.42, x + 0.07, 0.42), 'white') for x in (-0.33, 0.33)]
    else:
        raise ValueError(f'part {kind!r}: expected one of {PARTS}')
    return tuple(Shape(points, tone, True) for points, tone in layers)


_BODIES: dict[str, list[Shape]] = {
    'vehicle': [
        Shape(np.array([(0.1, 0.02), (0.14, -0.3), (0.34, -0.3), (0.47, 0.02)]), 'body'),
        Shape(np.array([(0.17, -0.02), (0.19, -0.23), (0.31, -0.23), (0.4, -0.02)]), 'pale'),
        Shape(rect(-0.5, 0.0, 0.5, 0.26), 'body'),
        Shape(rect(-0.5, 0.17, 0.5, 0.26), 'deep'),
        Shape(disc(-0.29, 0.27, 0.11), 'black'),
        Shape(disc(0.29, 0.27, 0.11), 'black'),
    ],
    'aircraft': [
        Shape(np.array([(-0.5, -0.3), (-0.36, -0.3), (-0.2, 0.0), (-0.44, 0.05)]), 'deep'),
        Shape(disc(0.0, 0.05, 0.5, 0.17), 'body'),
        Shape(disc(0.32, 0.02, 0.1, 0.06), 'pale'),
    ],
    'boat': [
        Shape(rect(0.12, -0.1, 0.36, 0.1), 'pale'),
        Shape(np.array([(-0.5, 0.08), (0.5, 0.08), (0.34, 0.4), (-0.36, 0.4)]), 'body'),
        Shape(np.array([(-0.42, 0.26), (0.41, 0.26), (0.34, 0.4), (-0.36, 0.4)]), 'deep'),
    ],
    'furniture': [
        Shape(rect(-0.45, -0.24, 0.45, 0.24), 'body'),
        Shape(rect(-0.5, -0.3, 0.5, -0.2), 'deep'),
        Shape(rect(0.22, -0.14, 0.38, 0.16), 'pale'),
    ],
    'robot': [
        Shape(rect(-0.44, -0.08, -0.3, 0.22), 'deep'),
        Shape(rect(0.3, -0.08, 0.44, 0.22), 'deep'),
        Shape(rect(-0.32, -0.14, 0.32, 0.3), 'body'),
        Shape(rect(-0.2, -0.38, 0.2, -0.14), 'body'),
        Shape(rect(-0.13, -0.31, 0.13, -0.22), 'pale'),
    ],
}


@lru_cache
def object_shapes(label: int) -> tuple[Shape, ...]:
    """Shapes of a class, bottom to top, centred and scaled so that the longer side is 1."""
    toy = CLASSES[label]
    shapes = list(_BODIES[toy.body])
    for cx, cy, side in toy.slots:
        part = part_shapes(toy.part)
        shapes += [shape._replace(points=shape.points * side + (cx, cy)) for shape in part]
    everything = np.concatenate([shape.points for shape in shapes])
    low, high = everything.min(0), everything.max(0)
    return tuple(
        shape._replace(points=(shape.points - (low + high) / 2) / (high - low).max())
        for shape in shapes
    )


def palette(rng: np.random.Generator, hue: float | None) -> dict[str, tuple[int, ...]]:
    """BGR of the tones; the body has the hue (degrees, jittered), parts are black and white."""

    def tone(saturation: float, value: float) -> tuple[int, ...]:
        rgb = colorsys.hsv_to_rgb(turn, saturation, value)
        return tuple(round(255 * c) for c in reversed(rgb))

    turn = ((hue or 0) + rng.uniform(-9, 9)) / 360 % 1
    saturation, value = rng.uniform(0.68, 0.92), rng.uniform(0.72, 0.95)
    return {
        'body': tone(saturation, value),
        'deep': tone(saturation, value * 0.72),
        'pale': tone(saturation * 0.35, 0.5 + value / 2),
        'black': tone(0.25, rng.uniform(0.08, 0.2)),
        'white': tone(0.04, rng.uniform(0.9, 1.0)),
    }


def to_canvas(
    points: np.ndarray,
    center: Sequence[float] | np.ndarray,
    size: float,
    angle: float,
    flip: bool,
    side: int,
) -> np.ndarray:
    """Points of the unit box, mirrored, turned, scaled and moved, in pixels of the canvas."""
    points = points * ((-1 if flip else 1), 1) @ rotation(angle)
    return np.rint((points * size + center) * side).astype(np.int32)


def fill(canvas: np.ndarray, points: np.ndarray, color: float | Sequence[float]) -> None:
    """Fill a polygon (K, 2) of canvas pixels."""
    cv2.fillPoly(canvas, [points], color)


def scale(canvas: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Fractions of the image's side in pixels of the canvas."""
    return np.rint(points * canvas.shape[0]).astype(np.int32)
