"""Grids of part detectors: their best patches with entropy and classes.

C: classes, N: images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps

from mmmlc.datasets.decoding import read_rgb
from mmmlc.ops.boxes import flip_boxes, to_fractions, to_pixels
from mmmlc.plots import picture_font

from .clusters import MinedScale

PATCH = 64
GAP = 2
TEXT = 160
GREY = (190, 190, 190)


def top_members(scale: MinedScale, cluster: int, count: int) -> torch.Tensor:
    """Points of a cluster, nearest to its centre first, one an image."""
    members = torch.nonzero(scale.assignments == cluster)[:, 0]
    members = members[scale.distances[members].argsort()]
    _, first = np.unique(scale.images[members].numpy(), return_index=True)
    return members[np.sort(first)[:count]]


def patch_box(location: int, size: tuple[int, int], flipped: bool) -> tuple[float, ...]:
    """Box x1, y1, x2, y2, in fractions of the image, of three cells around a location.

    What a location sees is larger; three cells are what it mostly depends on.
    """
    row, column = divmod(location, size[1])
    cells = np.array([column - 1.0, row - 1.0, column + 2.0, row + 2.0])
    box = flip_boxes(to_fractions(cells, size), 'horizontal' if flipped else None)
    return tuple(box.tolist())


def part_grid(
    scale: MinedScale,
    names: Sequence[str],
    flipped: torch.Tensor,
    classes: Sequence[str],
    clusters: Sequence[int],
    patches: int = 8,
    load: Callable[[str], Image.Image] = read_rgb,
) -> Image.Image:
    """One row a cluster: entropy, members, the two strongest classes, and its best patches.

    Args:
        scale: Mined scale.
        names: Paths of the sampled images.
        flipped: (N,) whether they were mirrored.
        classes: Names of the C classes.
        clusters: Which to show, from top to bottom.
        patches: Patches a row.
        load: Reads an image in RGB, as the pipeline that was mined on.
    """
    step = PATCH + GAP
    sheet = Image.new('RGB', (TEXT + patches * step, len(clusters) * step), 'white')
    draw, font = ImageDraw.Draw(sheet), picture_font(10, *classes)
    for row, cluster in enumerate(clusters):
        draw.multiline_text((4, row * step + 2), _caption(scale, cluster, classes), 'black', font)
        for column, point in enumerate(top_members(scale, cluster, patches).tolist()):
            image = int(scale.images[point])
            is_flipped = bool(flipped[image])
            box = patch_box(int(scale.locations[point]), scale.size, is_flipped)
            patch = _crop(load(names[image]), box)
            patch = ImageOps.mirror(patch) if is_flipped else patch
            sheet.paste(patch, (TEXT + column * step, row * step))
    return sheet


def _caption(scale: MinedScale, cluster: int, classes: Sequence[str]) -> str:
    shares = scale.ranking.shares[cluster]
    best = shares.topk(min(2, len(shares)))
    lines = [
        f'{classes[label]} {share:.0%}'
        for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        if share > 0
    ]
    kept = torch.nonzero(scale.ranking.order == cluster)
    rank = f'detector {int(kept)}' if len(kept) else 'not kept'
    entropy, size = float(scale.ranking.entropy[cluster]), int(scale.ranking.sizes[cluster])
    images = len(scale.images[scale.assignments == cluster].unique())
    return '\n'.join([f'{rank}: E {entropy:.2f}', f'points {size}, images {images}', *lines])


def _crop(image: Image.Image, box: Sequence[float]) -> Image.Image:
    scaled = tuple(to_pixels(np.asarray(box), image.size[::-1]).tolist())
    # Grey beyond the border: black could be part of a picture.
    return image.transform(
        (PATCH, PATCH), Image.Transform.EXTENT, scaled, Image.Resampling.BILINEAR, fillcolor=GREY
    )


def shown_clusters(scale: MinedScale, rows: int) -> list[int]:
    """Clusters to show: the first detectors kept, the last, and the last of those not kept."""
    order = scale.ranking.order.tolist()
    entropy = scale.ranking.entropy.masked_fill(scale.ranking.sizes == 0, torch.inf)
    kept = set(order)
    left = [c for c in entropy.argsort().tolist() if c not in kept and entropy[c] < torch.inf]
    third = max(1, rows // 3)
    if len(order) <= 2 * third:
        return order + left[-third:]
    return order[: rows - 2 * third] + order[-third:] + left[-third:]


def write_part_pictures(
    folder: str | Path,
    scales: Sequence[MinedScale],
    names: Sequence[str],
    flipped: torch.Tensor,
    classes: Sequence[str],
    rows: int = 18,
    load: Callable[[str], Image.Image] = read_rgb,
) -> list[Path]:
    """Write a grid a scale, ``parts_scale1.png`` ...: best and last detectors, clusters not kept.

    ``load`` reads an image in RGB, as the pipeline that was mined on.

    Returns:
        The files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, scale in enumerate(scales, start=1):
        path = folder / f'parts_scale{number}.png'
        clusters = shown_clusters(scale, rows)
        part_grid(scale, names, flipped, classes, clusters, load=load).save(path)
        written.append(path)
    return written
