"""The scenes of ToyScenes: where they are, what is seen there, and their backgrounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from .shapes import bgr, disc, fill, rect, scale

Layer = tuple[np.ndarray, np.ndarray]  # polygon (K, 2), colour


class Scene(NamedTuple):
    """A background: its colours, the horizon (fraction of the height), and what stands in it."""

    sky: tuple[str, str]
    ground: tuple[str, str]
    horizon: float
    decor: tuple[str, ...]
    weights: dict[str, float]


SCENES = {
    'street': Scene(('a8c6d8', 'e8ecea'), ('8d9094', '6c6f75'), 0.48, ('houses', 'lane'),
                    {'vehicle': 1.0, 'robot': 0.25, 'furniture': 0.1, 'aircraft': 0.15}),
    'airfield': Scene(('7fb2d6', 'dcebf2'), ('a9b68a', '8c9a72'), 0.68, ('clouds', 'hills'),
                      {'aircraft': 1.0, 'vehicle': 0.25, 'robot': 0.15}),
    'harbour': Scene(('f3d9b8', 'f8ecdc'), ('8fbfc4', '5f98a3'), 0.42, ('clouds', 'waves'),
                     {'boat': 1.0, 'aircraft': 0.15, 'vehicle': 0.05}),
    'room': Scene(('e6d8c6', 'efe6da'), ('b99873', '9c7c5a'), 0.58, ('frames', 'boards'),
                  {'furniture': 1.0, 'robot': 0.35}),
    'meadow': Scene(('9cc9dd', 'eef3e6'), ('b3bd7c', '8d9c58'), 0.45, ('clouds', 'hills', 'trees'),
                    {'vehicle': 0.6, 'furniture': 0.35, 'aircraft': 0.35, 'robot': 0.25}),
    'planet': Scene(('1d2036', '4b4560'), ('c9a184', '9a7560'), 0.52, ('stars', 'craters'),
                    {'robot': 1.0, 'aircraft': 0.4, 'vehicle': 0.15}),
}  # fmt: skip
SCENE_WEIGHTS = (0.19, 0.15, 0.23, 0.19, 0.11, 0.13)


# Layers of a background: functions of (rng, horizon) that yield polygons and their colours, which
# are duller than any object's.


def _houses(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    x = -0.05
    while x < 1:
        width, top = rng.uniform(0.12, 0.24), horizon - rng.uniform(0.1, 0.34)
        wall = rng.choice([bgr('b9a999'), bgr('a7b0b5'), bgr('cbbfae'), bgr('98918f')])
        yield rect(x, top, x + width, horizon), wall
        for wx in np.arange(x + 0.03, x + width - 0.035, 0.05).tolist():
            for wy in np.arange(top + 0.03, horizon - 0.04, 0.07).tolist():
                yield rect(wx, wy, wx + 0.025, wy + 0.035), 0.8 * wall
        x += width


def _lane(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    y = horizon + 0.6 * (1 - horizon)
    yield rect(0, horizon, 1, horizon + 0.04), bgr('b9b5ae')
    for x in np.arange(rng.uniform(-0.2, 0), 1, 0.22).tolist():
        yield rect(x, y, x + 0.11, y + 0.018), bgr('c9c8c0')


def _clouds(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for _ in range(rng.integers(1, 4)):
        x, y, r = rng.random(), rng.uniform(0.05, horizon * 0.7), rng.uniform(0.05, 0.1)
        for dx, dy, k in ((-1, 0.2, 0.7), (0, 0, 1.0), (1.1, 0.25, 0.65)):
            yield disc(x + dx * r, y + dy * r, k * r * 1.3, k * r * 0.7), bgr('f4f5f3')


def _hills(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for tone in ('a3b39a', '97a886'):
        x, r = rng.random(), rng.uniform(0.35, 0.6)
        hill = disc(x, horizon, r, rng.uniform(0.08, 0.2))
        yield np.minimum(hill, (9, horizon + 0.004)), bgr(tone)


def _trees(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for x in rng.random(rng.integers(2, 5)):
        y, r = horizon + rng.uniform(0, 0.05), rng.uniform(0.04, 0.08)
        yield rect(x - 0.01, y - 1.2 * r, x + 0.01, y), bgr('7a6350')
        yield disc(x, y - 1.9 * r, r, 1.25 * r), bgr('6f8460')


def _waves(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for _ in range(14):
        x, y = rng.random(), rng.uniform(horizon + 0.03, 1)
        yield disc(x, y, rng.uniform(0.04, 0.1), 0.006), bgr('b5dadb')


def _frames(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for x in rng.uniform(0.05, 0.75, rng.integers(1, 3)):
        y, w, h = rng.uniform(0.06, 0.2), rng.uniform(0.12, 0.22), rng.uniform(0.12, 0.2)
        yield rect(x, y, x + w, y + h), bgr('a58c70')
        yield rect(x + 0.015, y + 0.015, x + w - 0.015, y + h - 0.015), bgr('cfd9da')
    yield rect(0, horizon - 0.025, 1, horizon), bgr('d8cbb8')


def _boards(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for t in (0.12, 0.3, 0.55):
        y = horizon + t * (1 - horizon)
        yield rect(0, y, 1, y + 0.006), bgr('8d6f50')


def _stars(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for x, y in rng.random((26, 2)) * (1, horizon):
        yield disc(x, y, float(rng.choice([0.004, 0.007]))), bgr('e8e4d8')
    yield disc(rng.random(), rng.uniform(0.08, 0.3), rng.uniform(0.05, 0.1)), bgr('8f8797')


def _craters(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for _ in range(5):
        x, y, r = rng.random(), rng.uniform(horizon + 0.06, 0.97), rng.uniform(0.03, 0.09)
        yield disc(x, y, r, r * 0.3), bgr('8c6b58')
        yield disc(x, y + 0.15 * r, 0.85 * r, r * 0.22), bgr('a98670')


_DECOR = {
    'houses': _houses,
    'lane': _lane,
    'clouds': _clouds,
    'hills': _hills,
    'trees': _trees,
    'waves': _waves,
    'frames': _frames,
    'boards': _boards,
    'stars': _stars,
    'craters': _craters,
}


def draw_background(rng: np.random.Generator, scene: Scene, side: int) -> np.ndarray:
    """Canvas (side, side, 3) of a scene without objects."""
    split = round(side * scene.horizon)
    rows = [
        np.linspace(bgr(high), bgr(low), n)
        for (high, low), n in ((scene.sky, split), (scene.ground, side - split))
    ]
    column = np.clip(np.concatenate(rows) * rng.uniform(0.94, 1.06, 3), 0, 255)
    canvas = cv2.resize(
        column[:, None].astype(np.uint8), (side, side), None, 0, 0, cv2.INTER_NEAREST
    )
    for kind in scene.decor:
        for points, color in _DECOR[kind](rng, scene.horizon):
            fill(canvas, scale(canvas, points), color.tolist())
    return canvas
