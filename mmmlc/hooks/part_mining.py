"""Mine part detectors before training, and again in the course of it."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmmlc.mining import (
    MinedScale,
    fit_classifiers,
    gather_points,
    image_features,
    load_mined,
    mine_scale,
    sample_points,
    save_mined,
)
from mmmlc.registry import HOOKS
from mmmlc.visualization.parts import write_part_pictures


@HOOKS.register_module()
class PartMiningHook(Hook):
    """Find the part detectors of a model with :class:`mmmlc.models.MsDPDHead` (MsDPD, 2.2).

    Every process samples locations of the images it sees, the first clusters them, all receive the
    detectors. What was found is written to the work directory as ``parts_epoch_<N>.npz`` and, in a
    folder of that name, pictures of the detectors' best patches. Then the classifiers are fitted to
    the pooled features of all images (Section 2.4), which takes one more pass over them. A training
    that is resumed keeps the detectors and classifiers of its checkpoint.

    Args:
        clusters: Q of each scale; (2000, 1000, 400, 200) in the paper.
        locations: Sampled locations a scale, about.
        min_size: Members a cluster must have ("sufficiently large" in the paper).
        instances: t, members nearest to the centre on which a detector is first trained (Eq. 7).
        steps: Iterations of that training.
        classifier_steps: Iterations of the first training of the classifiers (J1); 0 leaves them.
        every: Mine again before every so many epochs; 0 only before the first. The new detectors
            have new classifiers.
        file: File of mined parts (``tools/mine_parts.py``, or of an earlier training) to take
            instead of mining before the first epoch.
        pictures: Whether to draw them.
        seed: Of sampling and clustering.
    """

    priority = 'LOW'

    def __init__(
        self,
        clusters: Sequence[int],
        locations: int = 100_000,
        min_size: int = 10,
        instances: int = 50,
        steps: int = 50,
        classifier_steps: int = 50,
        every: int = 0,
        file: str | None = None,
        pictures: bool = True,
        seed: int = 0,
    ):
        if file is not None and not os.path.isfile(file):
            raise FileNotFoundError(f'PartMiningHook: file={file!r}, no such file')
        self.clusters = tuple(clusters)
        self.locations = locations
        self.min_size = min_size
        self.instances = instances
        self.steps = steps
        self.classifier_steps = classifier_steps
        self.every = every
        self.file = file
        self.pictures = pictures
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Mine, or take the file."""
        if runner.iter > 0:
            return
        if self.file is None:
            self._mine(runner)
        else:
            scales, _, _ = load_mined(self.file)
            set_parts(_model(runner).head, scales, self.file)
            print_log(f'part detectors taken from {self.file}', 'current')
        self._fit_classifiers(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Mine again where it is time to."""
        if self.every and runner.epoch > 0 and runner.epoch % self.every == 0:
            self._mine(runner)
            self._fit_classifiers(runner)

    def _fit_classifiers(self, runner: Runner) -> None:
        if not self.classifier_steps:
            return
        model = _model(runner)
        found = image_features(model, runner.train_dataloader)
        losses = fit_classifiers(model.head, found, self.classifier_steps)
        reached = ', '.join(f'{name} {value:.3f}' for name, value in losses.items())
        print_log(f'first classifiers, loss J1 with weight decay: {reached}', 'current')

    def _mine(self, runner: Runner) -> None:
        model = _model(runner)
        detectors = getattr(model.head, 'detectors', None)
        if detectors and not any(scale.num_parts for scale in detectors):
            print_log('no part detectors: num_parts is 0, the raw maps are pooled', 'current')
            return
        loader = runner.train_dataloader
        stem = os.path.join(runner.work_dir, f'parts_epoch_{runner.epoch}')
        scales = mine_parts(
            model,
            loader,
            self.clusters,
            self.locations,
            path=f'{stem}.npz',
            min_size=self.min_size,
            instances=self.instances,
            steps=self.steps,
            seed=self.seed + runner.epoch,
        )
        if scales is not None and self.pictures:
            classes = loader.dataset.metainfo['classes']
            write_part_pictures(stem, *load_mined(f'{stem}.npz'), classes)
        _share_parts(model.head, scales)


def _model(runner: Runner) -> nn.Module:
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def mine_parts(
    model: nn.Module,
    loader,
    clusters: Sequence[int],
    locations: int = 100_000,
    path: str | None = None,
    seed: int = 0,
    **options,
) -> list[MinedScale] | None:
    """Sample the maps of a model over a data loader and mine the parts of every scale.

    Args:
        model: Classifier with :class:`mmmlc.models.MsDPDHead`, not wrapped.
        loader: Data loader over the training images.
        clusters: Q of each scale.
        locations: Sampled locations a scale, about.
        path: Where to write the file of mined parts; None writes none.
        seed: Of sampling and clustering.
        **options: Of :func:`mmmlc.mining.mine_scale`.

    Returns:
        The scales on the main process, None on the others.

    Raises:
        ValueError: if there are not as many clusters as scales, or a head without detectors.
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
    per_image = math.ceil(locations / len(loader.dataset))
    rank_seed = seed * dist.get_world_size() + dist.get_rank()
    sampled = sample_points(model, loader, model.head.indices, per_image, rank_seed)
    sampled = gather_points(sampled)
    if sampled is None:
        return None
    device = next(model.parameters()).device
    scales = []
    for number, (points, count, scale) in enumerate(
        zip(sampled.scales, clusters, detectors, strict=True), start=1
    ):
        mined = mine_scale(
            points, sampled.labels, count, scale.num_parts, seed=seed, device=device, **options
        )
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


def set_parts(head: nn.Module, scales: Sequence[MinedScale], source: str) -> None:
    """Give mined detectors to a head; ValueError naming ``source`` where they don't fit."""
    if len(scales) != len(head.detectors):
        raise ValueError(f'{source} holds {len(scales)} scales, the head has {len(head.detectors)}')
    for number, (detectors, mined) in enumerate(zip(head.detectors, scales, strict=True), 1):
        try:
            detectors.set_detectors(mined.weight, mined.bias)
        except ValueError as error:
            raise ValueError(f'{source}, scale {number}: {error}') from error


def _share_parts(head: nn.Module, scales: Sequence[MinedScale] | None) -> None:
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
