"""Pictures of part detectors: their best patches with entropy and classes, their maps.

C: classes, K: part detectors, P: points.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mmmlc.mining import MinedScale

from .regions import read_rgb

PATCH = 64
TEXT = 150


def top_members(scale: MinedScale, rank: int, count: int) -> torch.Tensor:
    """Points of the cluster of detector ``rank``, nearest to its centre first, one an image."""
    members = torch.nonzero(scale.assignments == scale.ranking.order[rank])[:, 0]
    members = members[scale.distances[members].argsort()]
    images = scale.images[members].tolist()
    first = [position for position, image in enumerate(images) if image not in images[:position]]
    return members[first[:count]]


def patch_box(location: int, size: tuple[int, int], flipped: bool) -> tuple[float, ...]:
    """Box x1, y1, x2, y2, in fractions of the image, of three cells around a location.

    What a location sees is larger; three cells are what it mostly depends on.
    """
    height, width = size
    row, column = divmod(location, width)
    x, y = (column + 0.5) / width, (row + 0.5) / height
    x = 1 - x if flipped else x
    return x - 1.5 / width, y - 1.5 / height, x + 1.5 / width, y + 1.5 / height


def part_grid(
    scale: MinedScale,
    names: Sequence[str],
    flipped: torch.Tensor,
    classes: Sequence[str],
    ranks: Sequence[int],
    patches: int = 8,
) -> Image.Image:
    """One row a detector: entropy, members, the three strongest classes, and its best patches.

    Args:
        scale: Mined scale.
        names: Paths of the sampled images.
        flipped: (N,) whether they were mirrored.
        classes: Names of the C classes.
        ranks: Positions in the ranking to show, 0 the lowest entropy.
        patches: Patches a row.
    """
    sheet = Image.new('RGB', (TEXT + patches * (PATCH + 2), len(ranks) * (PATCH + 2)), 'white')
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for row, rank in enumerate(ranks):
        top = row * (PATCH + 2)
        draw.multiline_text((4, top + 2), _caption(scale, rank, classes), 'black', font)
        for column, point in enumerate(top_members(scale, rank, patches).tolist()):
            image = int(scale.images[point])
            is_flipped = bool(flipped[image])
            box = patch_box(int(scale.locations[point]), scale.size, is_flipped)
            patch = _crop(read_rgb(names[image]), box)
            patch = ImageOps.mirror(patch) if is_flipped else patch
            sheet.paste(patch, (TEXT + column * (PATCH + 2), top))
    return sheet


def _caption(scale: MinedScale, rank: int, classes: Sequence[str]) -> str:
    cluster = int(scale.ranking.order[rank])
    shares = scale.ranking.shares[cluster]
    best = shares.topk(min(3, len(shares)))
    lines = [
        f'{classes[label]} {share:.0%}'
        for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    entropy = scale.ranking.entropy[cluster]
    head = f'#{rank} E {entropy:.2f}, {int(scale.ranking.sizes[cluster])} pts'
    return '\n'.join([head, *lines])


def _crop(image: Image.Image, box: Sequence[float]) -> Image.Image:
    scaled = tuple(f * side for f, side in zip(box, image.size * 2, strict=True))
    return image.transform(
        (PATCH, PATCH), Image.Transform.EXTENT, scaled, Image.Resampling.BILINEAR
    )


def draw_part_map(image: Image.Image, part_map: np.ndarray, side: int = 384) -> Image.Image:
    """Lay the map of a detector over an image.

    Args:
        image: The image as the network saw it.
        part_map: (h, w) probabilities.
        side: Shorter side of the picture in pixels.
    """
    factor = side / min(image.size)
    size = tuple(round(length * factor) for length in image.size)
    values = part_map / max(float(part_map.max()), 1e-12)
    heat = Image.fromarray((colormaps['inferno'](values)[..., :3] * 255).astype(np.uint8))
    heat = heat.resize(size, Image.Resampling.BILINEAR)
    return Image.blend(image.convert('RGB').resize(size, Image.Resampling.LANCZOS), heat, 0.55)


def write_part_pictures(
    folder: str | Path,
    scales: Sequence[MinedScale],
    names: Sequence[str],
    flipped: torch.Tensor,
    classes: Sequence[str],
    rows: int = 16,
) -> list[Path]:
    """Write a grid a scale, ``parts_scale1.jpg`` ...: the first and the last detectors kept.

    Returns:
        The files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, scale in enumerate(scales, start=1):
        kept = len(scale.ranking.order)
        ranks = sorted({*range(min(rows, kept)), *range(max(0, kept - rows), kept)})
        if len(ranks) > rows:
            ranks = ranks[: rows // 2] + ranks[-(rows - rows // 2) :]
        path = folder / f'parts_scale{number}.jpg'
        part_grid(scale, names, flipped, classes, ranks).save(path, quality=92)
        written.append(path)
    return written
