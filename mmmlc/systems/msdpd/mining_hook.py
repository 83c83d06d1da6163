"""Mine part detectors before training, and again in the course of it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier

from mmmlc.registry import HOOKS

from .classifiers import fit_classifiers, image_features
from .mine import mine_parts, set_parts, share_parts
from .mined_file import load_mined
from .part_pictures import write_part_pictures


@HOOKS.register_module()
class PartMiningHook(Hook):
    """Find the part detectors of a model with :class:`MsDPDHead` (MsDPD, 2.2).

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
        """Mine again where it is time to, but not when resumed within the epoch."""
        resumed = getattr(runner.train_dataloader.batch_sampler, 'skip_batches', 0)
        if self.every and runner.epoch > 0 and runner.epoch % self.every == 0 and not resumed:
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
        share_parts(model.head, scales)


def _model(runner: Runner) -> ImageClassifier:
    model = runner.model
    return model.module if is_model_wrapper(model) else model
