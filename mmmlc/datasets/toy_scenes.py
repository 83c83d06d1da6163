"""ToyScenes: drawn multi-label scenes whose classes differ in small parts. Pure, seeded functions.

A class is a body (hue and silhouette are easy to see) with one kind of part, and the same six parts
serve all bodies: a ferry and a bus both carry a screen, an airboat and a helicopter a propeller.
Telling classes apart therefore takes details of a few pixels together with the body around them.

Coordinates: the shapes of an object live in a unit box, x right and y down, and in the scene
everything is a fraction of the image's side. The canvas is ``SUPERSAMPLE`` times the image and is
reduced by area averaging, so masks on it are exact. Colours are BGR, 0 to 255.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

SUPERSAMPLE = 4
MIN_SIZE, MAX_SIZE = 0.12, 0.50  # longer side of an object / side of the image
MIN_VISIBLE = 0.35  # of an object's pixels
MIN_PART_VISIBLE = 0.75  # of the pixels of its part: without it the label could not be seen
OBJECT_COUNTS = (0.16, 0.27, 0.23, 0.16, 0.11, 0.07)  # probability of 1 to 6 objects
SPLITS = ('train', 'val')
VERSION = '1'  # of the drawing: raise it with every change of the pictures


class ToyClass(NamedTuple):
    """A class: what it is called, its body, its part, the part's boxes (cx, cy, side)."""

    name: str
    body: str
    part: str
    slots: tuple[tuple[float, float, float], ...]


# Within a body from frequent to rare.
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
RANK_WEIGHTS = (1.0, 0.8, 0.65, 0.5)  # of the four classes of a body
COMPANIONS = {
    'tractor': 'trolley', 'bus': 'news_van', 'news_van': 'radar_plane', 'racing_car': 'helicopter',
    'lander': 'rover', 'rover': 'walker', 'sailboat': 'ferry', 'paddle_steamer': 'airboat',
    'table': 'television', 'radio': 'table', 'kiosk': 'bus', 'drone': 'airplane',
}  # fmt: skip
COMPANION_RATE = 0.35


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


class Shape(NamedTuple):
    """A filled polygon (K, 2) with the name of its tone; ``part`` marks the telling part."""

    points: np.ndarray
    tone: str
    part: bool = False


@dataclass(frozen=True)
class ToyObject:
    """A labelled object: class index, box x, y, w, h and area in pixels, fraction visible.

    Box and area are of all of the object that lies inside the image, occluded pixels included.
    """

    label: int
    bbox: tuple[float, float, float, float]
    area: float
    visible: float


class _Placed(NamedTuple):
    """An object on the canvas; masks cover its ``window`` (rows, columns), its bounding box."""

    label: int
    depth: float
    polygons: list[tuple[np.ndarray, tuple[int, ...]]]
    window: tuple[slice, slice]
    mask: np.ndarray
    part: np.ndarray
    shadow: tuple[float, float, float] | None


def _bgr(code: str) -> np.ndarray:
    return np.array([int(code[i : i + 2], 16) for i in (4, 2, 0)], np.float64)


_TURNS = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], 1)


def _rotation(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([(c, s), (-s, c)])


def _rect(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)


def _disc(cx: float, cy: float, rx: float, ry: float | None = None, turn: float = 0.0):
    points = _CIRCLE * (rx, rx if ry is None else ry)
    return points @ _rotation(turn) + (cx, cy)


@lru_cache
def part_shapes(kind: str) -> tuple[Shape, ...]:
    """Shapes of a part in the unit box (-0.5 to 0.5), tones 'black' and 'white'."""
    if kind == 'wheel':
        layers = [(_disc(0, 0, r), tone) for r, tone in ((0.5, 'black'), (0.3, 'white'))]
        layers.append((_disc(0, 0, 0.1), 'black'))
    elif kind == 'wing':
        outer = np.array([(-0.5, 0.42), (0.12, -0.5), (0.5, -0.5), (0.32, 0.42)])
        inner = np.array([(-0.3, 0.32), (0.16, -0.39), (0.38, -0.39), (0.24, 0.32)])
        layers = [(outer, 'black'), (inner, 'white')]
    elif kind == 'screen':
        layers = [
            (_rect(-0.5, -0.42, 0.5, 0.42), 'black'),
            (_rect(-0.36, -0.28, 0.36, 0.28), 'white'),
        ]
    elif kind == 'antenna':
        bowl = _disc(0, -0.1, 0.5, 0.42)
        bowl = bowl[bowl[:, 1] >= -0.1001]
        layers = [(_rect(-0.09, 0.1, 0.09, 0.5), 'black'), (bowl, 'black')]
        layers += [(bowl * (0.7, 0.62) + (0, -0.01), 'white'), (_disc(0, -0.36, 0.13), 'black')]
        layers.append((_rect(-0.04, -0.36, 0.04, -0.05), 'black'))
    elif kind == 'propeller':
        layers = [(_disc(0, 0, 0.55, 0.17, t), 'black') for t in (0.6, -0.6)]
        layers += [(_disc(0, 0, 0.45, 0.09, t), 'white') for t in (0.6, -0.6)]
        layers.append((_disc(0, 0, 0.12), 'black'))
    elif kind == 'legs':
        layers = [(_rect(x - 0.17, -0.5, x + 0.17, 0.5), 'black') for x in (-0.33, 0.33)]
        layers += [(_rect(x - 0.07, -0.42, x + 0.07, 0.42), 'white') for x in (-0.33, 0.33)]
    else:
        raise ValueError(f'part {kind!r}: expected one of {PARTS}')
    return tuple(Shape(points, tone, True) for points, tone in layers)


_BODIES: dict[str, list[Shape]] = {
    'vehicle': [
        Shape(np.array([(0.1, 0.02), (0.14, -0.3), (0.34, -0.3), (0.47, 0.02)]), 'body'),
        Shape(np.array([(0.17, -0.02), (0.19, -0.23), (0.31, -0.23), (0.4, -0.02)]), 'pale'),
        Shape(_rect(-0.5, 0.0, 0.5, 0.26), 'body'),
        Shape(_rect(-0.5, 0.17, 0.5, 0.26), 'deep'),
        Shape(_disc(-0.29, 0.27, 0.11), 'black'),
        Shape(_disc(0.29, 0.27, 0.11), 'black'),
    ],
    'aircraft': [
        Shape(np.array([(-0.5, -0.3), (-0.36, -0.3), (-0.2, 0.0), (-0.44, 0.05)]), 'deep'),
        Shape(_disc(0.0, 0.05, 0.5, 0.17), 'body'),
        Shape(_disc(0.32, 0.02, 0.1, 0.06), 'pale'),
    ],
    'boat': [
        Shape(_rect(0.12, -0.1, 0.36, 0.1), 'pale'),
        Shape(np.array([(-0.5, 0.08), (0.5, 0.08), (0.34, 0.4), (-0.36, 0.4)]), 'body'),
        Shape(np.array([(-0.42, 0.26), (0.41, 0.26), (0.34, 0.4), (-0.36, 0.4)]), 'deep'),
    ],
    'furniture': [
        Shape(_rect(-0.45, -0.24, 0.45, 0.24), 'body'),
        Shape(_rect(-0.5, -0.3, 0.5, -0.2), 'deep'),
        Shape(_rect(0.22, -0.14, 0.38, 0.16), 'pale'),
    ],
    'robot': [
        Shape(_rect(-0.44, -0.08, -0.3, 0.22), 'deep'),
        Shape(_rect(0.3, -0.08, 0.44, 0.22), 'deep'),
        Shape(_rect(-0.32, -0.14, 0.32, 0.3), 'body'),
        Shape(_rect(-0.2, -0.38, 0.2, -0.14), 'body'),
        Shape(_rect(-0.13, -0.31, 0.13, -0.22), 'pale'),
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


def _palette(rng: np.random.Generator, hue: float | None) -> dict[str, tuple[int, ...]]:
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


def _to_canvas(points: np.ndarray, center, size: float, angle: float, flip: bool, side: int):
    points = points * ((-1 if flip else 1), 1) @ _rotation(angle)
    return np.rint((points * size + center) * side).astype(np.int32)


def _fill(canvas: np.ndarray, points: np.ndarray, color) -> None:
    cv2.fillPoly(canvas, [points], color)


def _scale(canvas: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.rint(points * canvas.shape[0]).astype(np.int32)


def _masks(outlines: list[np.ndarray], is_part: list[bool], side: int):
    """Bounding box (rows, columns) clipped to the canvas; masks of object and part within it."""
    everything = np.concatenate(outlines)
    low = np.clip(everything.min(0), 0, side)
    high = np.clip(everything.max(0) + 1, 0, side)
    mask = np.zeros((high - low)[::-1], np.uint8)
    part = np.zeros_like(mask)
    for points, telling in zip(outlines, is_part, strict=True):
        _fill(mask, points - low, 1)
        if telling:
            _fill(part, points - low, 1)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    return window, mask.astype(bool), part.astype(bool)


def _place(rng: np.random.Generator, label: int, scene: Scene, xs: list, side: int) -> _Placed:
    """An object at a place that suits its body: aircraft and drones in the air, others grounded."""
    toy = CLASSES[label]
    size = MIN_SIZE * (MAX_SIZE / MIN_SIZE) ** (rng.random() ** 1.1)
    x = rng.uniform(0.44 * size, 1 - 0.44 * size)
    if xs and rng.random() < 0.4:
        x = np.clip(xs[-1] + rng.uniform(-0.7, 0.7) * size, 0.44 * size, 1 - 0.44 * size)
    airborne = toy.name == 'drone' or (toy.body == 'aircraft' and toy.name != 'lander')
    if airborne:
        y = rng.uniform(0.48 * size, max(0.55 * size, scene.horizon))
    else:
        nearness = 0.6 * (size - MIN_SIZE) / (MAX_SIZE - MIN_SIZE) + rng.uniform(0.05, 0.4)
        y = min(scene.horizon + (1 - scene.horizon) * nearness, 0.99) - 0.42 * size
    angle, flip = rng.normal(0, 0.09), bool(rng.random() < 0.5)
    colors = _palette(rng, BODY_HUES[toy.body])
    shapes = object_shapes(label)
    outlines = [_to_canvas(shape.points, (x, y), size, angle, flip, side) for shape in shapes]
    window, mask, part = _masks(outlines, [shape.part for shape in shapes], side)
    polygons = [
        (points, colors[shape.tone]) for points, shape in zip(outlines, shapes, strict=True)
    ]
    xs.append(x)
    shadow = None if airborne else (x, y + 0.4 * size, 0.5 * size)
    return _Placed(label, y + 0.4 * size, polygons, window, mask, part, shadow)


def _visible(placed: list[_Placed], side: int) -> list[tuple[float, float]]:
    """Fractions of each object's mask and part that later (nearer) objects leave uncovered."""
    covered = np.zeros((side, side), bool)
    fractions = []
    for item in reversed(placed):
        free = ~covered[item.window]
        fractions.append(
            tuple(
                np.count_nonzero(mask & free) / max(np.count_nonzero(mask), 1)
                for mask in (item.mask, item.part)
            )
        )
        covered[item.window] |= item.mask
    return fractions[::-1]


def _sample_scene(rng: np.random.Generator) -> Scene:
    scene = list(SCENES.values())[int(rng.choice(len(SCENES), p=SCENE_WEIGHTS))]
    return scene._replace(horizon=scene.horizon + rng.uniform(-0.06, 0.06))


def _sample_labels(rng: np.random.Generator, scene: Scene) -> list[int]:
    weights = np.array(
        [scene.weights.get(toy.body, 0.03) * RANK_WEIGHTS[i % 4] for i, toy in enumerate(CLASSES)]
    )
    names = [toy.name for toy in CLASSES]
    count = 1 + int(rng.choice(len(OBJECT_COUNTS), p=OBJECT_COUNTS))
    labels: list[int] = []
    while len(labels) < count:
        label = int(rng.choice(len(CLASSES), p=weights / weights.sum()))
        labels.append(label)
        companion = COMPANIONS.get(names[label])
        if companion and rng.random() < COMPANION_RATE:
            labels.append(names.index(companion))
    return labels[:count]


def _compose(rng: np.random.Generator, scene: Scene, side: int) -> list[_Placed]:
    """Objects from far to near, every one visible enough; those that find no place are dropped."""
    placed: list[_Placed] = []
    xs: list[float] = []
    for label in _sample_labels(rng, scene):
        for _ in range(6):
            trial = sorted([*placed, _place(rng, label, scene, xs, side)], key=lambda p: p.depth)
            if all(b >= MIN_VISIBLE and p >= MIN_PART_VISIBLE for b, p in _visible(trial, side)):
                placed = trial
                break
    return placed


# Layers of a background: functions of (rng, horizon) that yield polygons and their colours, which
# are duller than any object's.


def _houses(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    x = -0.05
    while x < 1:
        width, top = rng.uniform(0.12, 0.24), horizon - rng.uniform(0.1, 0.34)
        wall = rng.choice([_bgr('b9a999'), _bgr('a7b0b5'), _bgr('cbbfae'), _bgr('98918f')])
        yield _rect(x, top, x + width, horizon), wall
        for wx in np.arange(x + 0.03, x + width - 0.035, 0.05):
            for wy in np.arange(top + 0.03, horizon - 0.04, 0.07):
                yield _rect(wx, wy, wx + 0.025, wy + 0.035), 0.8 * wall
        x += width


def _lane(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    y = horizon + 0.6 * (1 - horizon)
    yield _rect(0, horizon, 1, horizon + 0.04), _bgr('b9b5ae')
    for x in np.arange(rng.uniform(-0.2, 0), 1, 0.22):
        yield _rect(x, y, x + 0.11, y + 0.018), _bgr('c9c8c0')


def _clouds(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for _ in range(rng.integers(1, 4)):
        x, y, r = rng.random(), rng.uniform(0.05, horizon * 0.7), rng.uniform(0.05, 0.1)
        for dx, dy, k in ((-1, 0.2, 0.7), (0, 0, 1.0), (1.1, 0.25, 0.65)):
            yield _disc(x + dx * r, y + dy * r, k * r * 1.3, k * r * 0.7), _bgr('f4f5f3')


def _hills(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for tone in ('a3b39a', '97a886'):
        x, r = rng.random(), rng.uniform(0.35, 0.6)
        hill = _disc(x, horizon, r, rng.uniform(0.08, 0.2))
        yield np.minimum(hill, (9, horizon + 0.004)), _bgr(tone)


def _trees(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for x in rng.random(rng.integers(2, 5)):
        y, r = horizon + rng.uniform(0, 0.05), rng.uniform(0.04, 0.08)
        yield _rect(x - 0.01, y - 1.2 * r, x + 0.01, y), _bgr('7a6350')
        yield _disc(x, y - 1.9 * r, r, 1.25 * r), _bgr('6f8460')


def _waves(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for _ in range(14):
        x, y = rng.random(), rng.uniform(horizon + 0.03, 1)
        yield _disc(x, y, rng.uniform(0.04, 0.1), 0.006), _bgr('b5dadb')


def _frames(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for x in rng.uniform(0.05, 0.75, rng.integers(1, 3)):
        y, w, h = rng.uniform(0.06, 0.2), rng.uniform(0.12, 0.22), rng.uniform(0.12, 0.2)
        yield _rect(x, y, x + w, y + h), _bgr('a58c70')
        yield _rect(x + 0.015, y + 0.015, x + w - 0.015, y + h - 0.015), _bgr('cfd9da')
    yield _rect(0, horizon - 0.025, 1, horizon), _bgr('d8cbb8')


def _boards(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for t in (0.12, 0.3, 0.55):
        y = horizon + t * (1 - horizon)
        yield _rect(0, y, 1, y + 0.006), _bgr('8d6f50')


def _stars(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for x, y in rng.random((26, 2)) * (1, horizon):
        yield _disc(x, y, rng.choice([0.004, 0.007])), _bgr('e8e4d8')
    yield _disc(rng.random(), rng.uniform(0.08, 0.3), rng.uniform(0.05, 0.1)), _bgr('8f8797')


def _craters(rng: np.random.Generator, horizon: float) -> Iterator[Layer]:
    for _ in range(5):
        x, y, r = rng.random(), rng.uniform(horizon + 0.06, 0.97), rng.uniform(0.03, 0.09)
        yield _disc(x, y, r, r * 0.3), _bgr('8c6b58')
        yield _disc(x, y + 0.15 * r, 0.85 * r, r * 0.22), _bgr('a98670')


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


def _background(rng: np.random.Generator, scene: Scene, side: int) -> np.ndarray:
    split = round(side * scene.horizon)
    rows = [
        np.linspace(_bgr(high), _bgr(low), n)
        for (high, low), n in ((scene.sky, split), (scene.ground, side - split))
    ]
    column = np.clip(np.concatenate(rows) * rng.uniform(0.94, 1.06, 3), 0, 255)
    canvas = cv2.resize(
        column[:, None].astype(np.uint8), (side, side), None, 0, 0, cv2.INTER_NEAREST
    )
    for kind in scene.decor:
        for points, color in _DECOR[kind](rng, scene.horizon):
            _fill(canvas, _scale(canvas, points), color.tolist())
    return canvas


def _clutter(canvas: np.ndarray, rng: np.random.Generator, placed: list[_Placed]) -> None:
    """Lone parts and grey blobs, which belong to no class, clear of all objects."""
    side = canvas.shape[0]
    occupied = np.zeros((side, side), bool)
    for item in placed:
        occupied[item.window] |= item.mask
    for _ in range(rng.integers(1, 6)):
        size, center = rng.uniform(0.045, 0.16), rng.uniform(0.04, 0.96, 2)
        low = np.maximum((center - 0.65 * size) * side, 0).astype(int)
        high = ((center + 0.65 * size) * side).astype(int)
        if occupied[low[1] : high[1], low[0] : high[0]].any():
            continue
        shapes = part_shapes(PARTS[rng.integers(len(PARTS))])
        if rng.random() < 0.3:
            shapes = [
                Shape(_disc(0, 0, 0.5, 0.35), 'grey'),
                Shape(_disc(0, -0.08, 0.4, 0.2), 'mid'),
            ]
        colors = _palette(rng, rng.uniform(0, 360))
        colors |= {'grey': (120, 118, 122), 'mid': (150, 149, 152)}
        angle, flip = rng.normal(0, 0.25), bool(rng.random() < 0.5)
        for shape in shapes:
            _fill(
                canvas,
                _to_canvas(shape.points, center, size, angle, flip, side),
                colors[shape.tone],
            )
        occupied[low[1] : high[1], low[0] : high[0]] = True


def _shade(canvas: np.ndarray, placed: list[_Placed]) -> np.ndarray:
    """Shadows on the ground below the objects."""
    dark = canvas.copy()
    for x, y, radius in (item.shadow for item in placed if item.shadow):
        _fill(dark, _scale(dark, _disc(x, y, radius, 0.16 * radius)), (50, 45, 45))
    return cv2.addWeighted(canvas, 0.65, dark, 0.35, 0)


def _annotate(item: _Placed, visible: float) -> ToyObject:
    rows, columns = item.window
    box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    return ToyObject(
        item.label,
        tuple(float(v) / SUPERSAMPLE for v in box),
        np.count_nonzero(item.mask) / SUPERSAMPLE**2,
        round(visible, 4),
    )


def draw_scene(seed: int, split: str, index: int, size: int) -> tuple[np.ndarray, list[ToyObject]]:
    """Draw image ``index`` of a split: image (size, size, 3) uint8 BGR and its objects from far.

    The same arguments give the same picture, whatever was drawn before. Raises ValueError for a
    split other than 'train' and 'val', and for a size that is not positive.
    """
    if split not in SPLITS:
        raise ValueError(f'split {split!r}: expected one of {SPLITS}')
    if size < 1:
        raise ValueError(f'size {size}: expected a positive number of pixels')
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    side = size * SUPERSAMPLE
    scene = _sample_scene(rng)
    placed = _compose(rng, scene, side)
    canvas = _background(rng, scene, side)
    _clutter(canvas, rng, placed)
    canvas = _shade(canvas, placed)
    for item in placed:
        for points, color in item.polygons:
            _fill(canvas, points, color)
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    fractions = _visible(placed, side)
    return image, [_annotate(p, body) for p, (body, _) in zip(placed, fractions, strict=True)]
