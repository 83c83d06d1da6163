"""ToyScenes: drawn multi-label scenes whose classes differ in small parts. Pure, seeded functions.

A class is a body (hue and silhouette are easy to see) with one kind of part, and the same six parts
serve all bodies: a ferry and a bus both carry a screen, an airboat and a helicopter a propeller.
Telling classes apart therefore takes details of a few pixels together with the body around them.

Coordinates: the shapes of an object live in a unit box, x right and y down, and in the scene
everything is a fraction of the image's side. The canvas is ``SUPERSAMPLE`` times the image and is
reduced by area averaging, so masks on it are exact. Colours are BGR, 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .backgrounds import SCENE_WEIGHTS, SCENES, Scene, draw_background
from .shapes import (
    BODY_HUES,
    CLASSES,
    PARTS,
    Shape,
    disc,
    fill,
    object_shapes,
    palette,
    part_shapes,
    scale,
    to_canvas,
)

SUPERSAMPLE = 4
MIN_SIZE, MAX_SIZE = 0.12, 0.50  # longer side of an object / side of the image
MIN_VISIBLE = 0.35  # of an object's pixels
MIN_PART_VISIBLE = 0.75  # of the pixels of its part: without it the label could not be seen
OBJECT_COUNTS = (0.16, 0.27, 0.23, 0.16, 0.11, 0.07)  # probability of 1 to 6 objects
SPLITS = ('train', 'val')
VERSION = '1'  # of the drawing: raise it with every change of the pictures


RANK_WEIGHTS = (1.0, 0.8, 0.65, 0.5)  # of the four classes of a body
COMPANIONS = {
    'tractor': 'trolley', 'bus': 'news_van', 'news_van': 'radar_plane', 'racing_car': 'helicopter',
    'lander': 'rover', 'rover': 'walker', 'sailboat': 'ferry', 'paddle_steamer': 'airboat',
    'table': 'television', 'radio': 'table', 'kiosk': 'bus', 'drone': 'airplane',
}  # fmt: skip
COMPANION_RATE = 0.35


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


def _masks(
    outlines: list[np.ndarray], is_part: list[bool], side: int
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Bounding box (rows, columns) clipped to the canvas; masks of object and part within it."""
    everything = np.concatenate(outlines)
    low = np.clip(everything.min(0), 0, side)
    high = np.clip(everything.max(0) + 1, 0, side)
    mask = np.zeros((high - low)[::-1], np.uint8)
    part = np.zeros_like(mask)
    for points, telling in zip(outlines, is_part, strict=True):
        fill(mask, points - low, 1)
        if telling:
            fill(part, points - low, 1)
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
    colors = palette(rng, BODY_HUES[toy.body])
    shapes = object_shapes(label)
    outlines = [to_canvas(shape.points, (x, y), size, angle, flip, side) for shape in shapes]
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
        fractions.append((_share(item.mask, free), _share(item.part, free)))
        covered[item.window] |= item.mask
    return fractions[::-1]


def _share(mask: np.ndarray, free: np.ndarray) -> float:
    return np.count_nonzero(mask & free) / max(int(np.count_nonzero(mask)), 1)


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
            shapes = (
                Shape(disc(0, 0, 0.5, 0.35), 'grey'),
                Shape(disc(0, -0.08, 0.4, 0.2), 'mid'),
            )
        colors = palette(rng, rng.uniform(0, 360))
        colors |= {'grey': (120, 118, 122), 'mid': (150, 149, 152)}
        angle, flip = rng.normal(0, 0.25), bool(rng.random() < 0.5)
        for shape in shapes:
            fill(
                canvas,
                to_canvas(shape.points, center, size, angle, flip, side),
                colors[shape.tone],
            )
        occupied[low[1] : high[1], low[0] : high[0]] = True


def _shade(canvas: np.ndarray, placed: list[_Placed]) -> np.ndarray:
    """Shadows on the ground below the objects."""
    dark = canvas.copy()
    for x, y, radius in (item.shadow for item in placed if item.shadow):
        fill(dark, scale(dark, disc(x, y, radius, 0.16 * radius)), (50, 45, 45))
    return cv2.addWeighted(canvas, 0.65, dark, 0.35, 0)


def _annotate(item: _Placed, visible: float) -> ToyObject:
    rows, columns = item.window
    box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    x, y, width, height = (float(v) / SUPERSAMPLE for v in box)
    return ToyObject(
        item.label,
        (x, y, width, height),
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
    canvas = draw_background(rng, scene, side)
    _clutter(canvas, rng, placed)
    canvas = _shade(canvas, placed)
    for item in placed:
        for points, color in item.polygons:
            fill(canvas, points, color)
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    fractions = _visible(placed, side)
    return image, [_annotate(p, body) for p, (body, _) in zip(placed, fractions, strict=True)]
