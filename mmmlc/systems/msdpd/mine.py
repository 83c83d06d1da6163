"""Mine the parts of every scale of a model and hand them to its head."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING, Any, cast

import torch
from mmengine import dist
from mmengine.logging import print_log
from torch.utils.data import DataLoader

from .clusters import MinedScale, mine_scale
from .mined_file import save_mined
from .sampling import gather_points, sample_points

if TYPE_CHECKING:
    from mmpretrain.models import ImageClassifier

    from .head import MsDPDHead


def mine_parts(
    model: ImageClassifier,
    loader: DataLoader,
    clusters: Sequence[int],
    locations: int = 100_000,
    path: str | None = None,
    seed: int = 0,
    **options: Any,
) -> list[MinedScale] | None:
    """Sample the maps of a model over a data loader and mine the parts of every scale.

    Args:
        model: Classifier with :class:`MsDPDHead`, not wrapped.
        loader: Data loader over the training images.
        clusters: Q of each scale.
        locations: Sampled locations a scale, about.
        path: Where to write the file of mined parts; None writes none.
        seed: Of sampling and clustering.
        **options: Of :func:`mine_scale`.

    Returns:
        The scales on the main process, None on the others.

    Raises:
        ValueError: if there are not as many clusters as scales, for a head without detectors, and
            where no cluster of a scale is large enough.
    """
    detectors = getattr(model.head, 'detectors', None)
    if not detectors or not all(scale.num_parts for scale in detectors):
        raise ValueError(
            f'part mining: model.head is {type(model.head).__name__} without part detectors, '
            'expected mmmlc.MsDPDHead with num_parts above 0'
        )
    if len(clusters) != len(detectors):
        raise ValueError(
            f'PartMiningHook: clusters has {len(clusters)} values, the head {len(detectors)} scales'
        )
    per_image = math.ceil(locations / len(cast(Sized, loader.dataset)))
    rank_seed = seed * dist.get_world_size() + dist.get_rank()
    own = sample_points(model, loader, model.head.indices, per_image, rank_seed)
    sampled = gather_points(own)
    if sampled is None:
        return None
    device = next(model.parameters()).device
    scales = []
    for number, (points, count, scale) in enumerate(
        zip(sampled.scales, clusters, detectors, strict=True), start=1
    ):
        try:
            mined = mine_scale(
                points, sampled.labels, count, scale.num_parts, seed=seed, device=device, **options
            )
        except ValueError as error:
            raise ValueError(f'part mining, scale {number}, {count} clusters: {error}') from error
        _report(number, mined, scale.num_parts)
        scales.append(mined)
    if path is not None:
        save_mined(path, scales, sampled.names, sampled.flipped)
    return scales


def _report(number: int, mined: MinedScale, wanted: int) -> None:
    kept, ranking = len(mined.weight), mined.ranking
    level = logging.INFO if kept == wanted else logging.WARNING
    entropy = ranking.entropy[ranking.order]
    print_log(
        f'scale {number}: {kept} part detectors of {wanted} wanted, from {len(ranking.sizes)} '
        f'clusters of {len(mined.assignments)} locations; entropy {entropy[0]:.3f} to '
        f'{entropy[-1]:.3f}' + ('' if kept == wanted else '; those left over are masked out'),
        'current',
        level,
    )


def set_parts(head: MsDPDHead, scales: Sequence[MinedScale], source: str) -> None:
    """Give mined detectors to a head; ValueError naming ``source`` where they don't fit."""
    if len(scales) != len(head.detectors):
        raise ValueError(f'{source} holds {len(scales)} scales, the head has {len(head.detectors)}')
    for number, (detectors, mined) in enumerate(zip(head.detectors, scales, strict=True), 1):
        try:
            detectors.set_detectors(mined.weight, mined.bias)
        except ValueError as error:
            raise ValueError(f'{source}, scale {number}: {error}') from error


def share_parts(head: MsDPDHead, scales: Sequence[MinedScale] | None) -> None:
    """Set the detectors on the main process and send them to the others."""
    if scales is not None:
        set_parts(head, scales, 'part mining')
    with torch.no_grad():
        for detectors in head.detectors:
            for tensor in (detectors.weight.data, detectors.bias.data):
                dist.broadcast(tensor)
            # gloo has no broadcast of booleans everywhere; bytes always work.
            used = detectors.used.to(torch.uint8)
            dist.broadcast(used)
            detectors.used.copy_(used.bool())
