"""Sample locations of the feature maps of a data set (MsDPD, Section 2.2).

N: images, C: classes, D: channels, P: points, (h, w): map size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from mmengine import dist
from torch import Tensor

from mmmlc.ops.boxes import image_size

from .parts import sample_locations

if TYPE_CHECKING:
    from mmpretrain.models import ImageClassifier


class ScalePoints(NamedTuple):
    """Points of one scale, on the CPU."""

    points: Tensor  # (P, D) float32
    images: Tensor  # (P,) index of the image each point comes from
    locations: Tensor  # (P,) row * w + column
    size: tuple[int, int]  # (h, w)


class SampledPoints(NamedTuple):
    """Points of all scales, and what is known of the images."""

    scales: list[ScalePoints]
    labels: Tensor  # (N, C) uint8
    names: list[str]  # paths of the images
    flipped: Tensor  # (N,) bool, whether the image was mirrored before the network saw it


@torch.no_grad()
def sample_points(
    model: ImageClassifier,
    batches: Iterable[dict],
    indices: Sequence[int],
    per_image: int,
    seed: int = 0,
) -> SampledPoints:
    """Run the model over batches and draw locations of its maps.

    Args:
        model: Classifier with ``data_preprocessor`` and ``extract_feat``, not wrapped; it is put
            into evaluation mode and back.
        batches: Of a data loader, each with ``inputs`` and ``data_samples``.
        indices: Which of the maps are the scales.
        per_image: Locations an image and scale; all where a map has fewer.
        seed: Of the locations.

    Raises:
        ValueError: if there is no batch.
    """
    training = model.training
    model.eval()
    generator, found, samples = None, [], []
    try:
        for batch in batches:
            data = model.data_preprocessor(batch, False)
            inputs = data['inputs']
            if generator is None:
                generator = torch.Generator(inputs.device).manual_seed(seed)
            maps = model.extract_feat(inputs)
            found.append([_draw(maps[index], per_image, generator) for index in indices])
            samples += data['data_samples']
    finally:
        model.train(training)
    if not found:
        raise ValueError('part mining: the data loader gave no batch')
    sizes = [image_size(maps[index]) for index in indices]
    scales = [
        _join(pieces, size) for pieces, size in zip(zip(*found, strict=True), sizes, strict=True)
    ]
    return SampledPoints(
        scales,
        _labels(samples, model.head.num_classes),
        [sample.get('img_path', '') for sample in samples],
        torch.tensor([bool(sample.get('flip', False)) for sample in samples]),
    )


def _draw(features: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    points, locations = sample_locations(features.float().flatten(2), count, generator)
    return points.cpu(), locations.cpu()


def _join(pieces: Sequence[tuple[Tensor, Tensor]], size: tuple[int, int]) -> ScalePoints:
    points = torch.cat([piece[0] for piece in pieces])  # (N, count, D)
    locations = torch.cat([piece[1] for piece in pieces])
    images = torch.arange(len(points))[:, None].expand_as(locations)
    return ScalePoints(points.flatten(0, 1), images.flatten(), locations.flatten(), size)


def _labels(samples: list, num_classes: int) -> Tensor:
    labels = torch.zeros(len(samples), num_classes, dtype=torch.uint8)
    for row, sample in zip(labels, samples, strict=True):
        row[sample.gt_label.cpu().long()] = 1
    return labels


def gather_points(sampled: SampledPoints) -> SampledPoints | None:
    """Bring the points of all processes to the first; None on the others."""
    parts = dist.all_gather_object(sampled) if dist.get_world_size() > 1 else [sampled]
    if not dist.is_main_process():
        return None
    offsets = torch.tensor([0] + [len(part.names) for part in parts]).cumsum(0).tolist()
    scales = []
    for pieces in zip(*(part.scales for part in parts), strict=True):
        shifted = [p.images + offset for p, offset in zip(pieces, offsets[:-1], strict=True)]
        scales.append(
            ScalePoints(
                torch.cat([piece.points for piece in pieces]),
                torch.cat(shifted),
                torch.cat([piece.locations for piece in pieces]),
                pieces[0].size,
            )
        )
    return SampledPoints(
        scales,
        torch.cat([part.labels for part in parts]),
        [name for part in parts for name in part.names],
        torch.cat([part.flipped for part in parts]),
    )
