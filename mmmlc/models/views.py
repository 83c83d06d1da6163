"""Test-time views: the four corners and the centre of an image, mirrored and not, averaged.

Recurrently Discovering Attentional Regions, ICCV 2017, Section 5.1. The views are cut from the
feature map, so that the backbone runs once per scale, or from the image, for any classifier.

B: images, V: views of a run, C: classes, N: regions per view, D: channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.ops.boxes import boxes_from_views, image_size, resize_boxes
from mmmlc.ops.checks import check_choice
from mmmlc.registry import MODELS

from .features import pool_outputs
from .instances import set_instances
from .predictions import set_all, set_predictions
from .view_batches import ViewBatch, check_maps, cut_images, cut_maps

MODES = ('features', 'images')
MIRRORS = ('map', 'image', 'none')
PAPER_MARGIN = 64


# What mmmlc.models.instances.set_instances takes, in its order.
INSTANCES = ('input_bboxes', 'labels', 'scores')


class ViewFields(NamedTuple):
    """What a classifier says of V views, by the name of the field in its samples."""

    scores: dict[str, Tensor]  # (B, V, ...)
    instances: dict[str, Tensor]  # (B, V, N, ...) of pred_instances; empty if it finds no boxes


@MODELS.register_module()
class TenViews(ImageClassifier):
    """Any classifier, tested on ten views of an image and at several scales.

    It takes the classifier's own config with another ``type``, and has the same weights under the
    same names: checkpoints load into either. The loss is the classifier's.

    Args:
        classifier: Type of the classifier: ``'mmpretrain.ImageClassifier'``, ``'mmmlc.MCAR'``, ...
        mode: ``'features'`` cuts the views from the feature map: one backbone pass per scale, for
            an ``ImageClassifier`` whose neck and head work on a map of any size. ``'images'`` cuts
            them from the image and runs the classifier on each: for all classifiers.
        scales: Sides of the squares that an image is resized to; None leaves its size. Load the
            images at the largest scale: the smaller ones are made from it.
        margin: By how many pixels a view is smaller than the image, at every scale; by default 64
            as in the paper, but at most an eighth of the shorter side.
        mirror: Mirrored views from the mirrored feature map (``'map'``), from a second, exact pass
            of the mirrored image (``'image'``), or ``'none'``, five views. In the mode ``'images'``
            the first two are the same.
        threshold: Averaged score from which a class is in ``pred_label``; by default the head's.
        others: Further models whose ``pred_score`` is averaged with this one, each a dict with
            ``checkpoint`` and the arguments of this class, ``others`` excluded (RDAL's two scales
            are two models). Their images are normalised as this model's.
        **model: Arguments of the classifier.

    Raises:
        ValueError: for a classifier that the mode doesn't suit, or no threshold.
    """

    def __init__(
        self,
        classifier: str,
        mode: str = 'features',
        scales: Sequence[int] | None = None,
        margin: int | None = None,
        mirror: str = 'map',
        threshold: float | None = None,
        others: Sequence[dict] = (),
        **model: Any,
    ):
        check_choice('model.mode', mode, MODES)
        check_choice('model.mirror', mirror, MIRRORS)
        if scales is not None and (len(scales) == 0 or min(scales) <= (margin or 1)):
            raise ValueError(f'model.scales is {scales}, expected sides above the margin {margin}')
        inner = MODELS.build(dict(type=classifier, **model))
        if not isinstance(inner, ImageClassifier):
            raise ValueError(f'model.classifier {classifier!r} is no mmpretrain.ImageClassifier')
        super().__init__(
            backbone=inner.backbone,
            neck=inner.neck,
            head=inner.head,
            data_preprocessor=inner.data_preprocessor,
            init_cfg=inner.init_cfg,
        )
        for name, child in inner.named_children():
            if name not in self._modules:
                self.add_module(name, child)
        _check_mode(inner, mode)
        self.mode = mode
        self.scales = None if scales is None else tuple(scales)
        self.margin = margin
        self.mirror = mirror
        _label_threshold(self.head, threshold)  # raises now rather than after the first batch
        self.threshold = threshold
        # Tuples hide them from torch: the classifier's parts are registered above, and the others
        # have no place in the checkpoint.
        self._inner = (inner,)
        self._others = tuple(_load_other(i, dict(other)) for i, other in enumerate(others))

    def train(self, mode: bool = True) -> TenViews:
        """Set the mode of all parts."""
        for module in (*self._inner, *self._others):
            module.train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable, recurse: bool = True) -> TenViews:
        for other in self._others:
            other._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of the classifier on the whole images."""
        return self._inner[0].loss(inputs, data_samples)

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[DataSample]:
        """Run the model, as mmengine's runner calls it; ``'tensor'`` gives scores (B, C)."""
        if mode == 'tensor':
            return torch.stack([sample.pred_score for sample in self.predict(inputs)])
        return super().forward(inputs, data_samples, mode)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict a batch.

        Returns:
            Samples with ``pred_score`` (C,), averaged over views, scales and models, ``pred_label``
            and the averages of further scores of the classifier. Where it finds boxes: those of all
            its views one after the other in ``pred_instances``, see :mod:`mmmlc.models.instances`,
            with ``views``, the index of the view of each.
        """
        size = image_size(inputs)
        own = _gather([self._predict_batch(batch, size) for batch in self._batches(inputs)])
        scores = [own.scores.pop('pred_score')]
        for other in self._others:
            runs = [other._predict_batch(batch, size) for batch in other._batches(inputs)]
            scores.append(_gather(runs).scores['pred_score'])
        threshold = _label_threshold(self.head, self.threshold)
        samples = set_predictions(data_samples, torch.stack(scores).mean(0), threshold)
        set_all(samples, **own.scores)
        if own.instances:
            names = [name for name in own.instances if name not in INSTANCES]
            for i, sample in enumerate(samples):
                values = [own.instances[name][i] for name in INSTANCES]
                set_instances(sample, *values, **{name: own.instances[name][i] for name in names})
        return samples

    def average_features(self, inputs: Tensor) -> Tensor:
        """Features (B, D) for a linear classifier, averaged over views and scales.

        See :func:`mmmlc.models.features.pool_outputs`; the ``others`` take no part.
        """
        inner, found = self._inner[0], []
        for batch in self._batches(inputs):
            run = self._run_neck if self.mode == 'features' else inner.extract_feat
            features = pool_outputs(self.head, run(batch.inputs))
            found.append(features.unflatten(0, (len(inputs), -1)))
        return torch.cat(found, dim=1).float().mean(1)

    def _batches(self, inputs: Tensor) -> Iterator[ViewBatch]:
        for scale in self.scales or (None,):
            images = inputs
            if scale is not None and inputs.shape[-2:] != (scale, scale):
                images = F.interpolate(inputs, (scale, scale), mode='bilinear', antialias=True)
            margin, mirror = self._margin(images), self.mirror != 'none'
            if self.mode == 'images':
                yield from cut_images(images, margin, mirror)
            else:
                yield self._cut_maps(images, margin, mirror)

    def _margin(self, images: Tensor) -> int:
        if self.margin is not None:
            return self.margin
        return min(PAPER_MARGIN, min(images.shape[-2:]) // 8)

    def _cut_maps(self, images: Tensor, margin: int, mirror: bool) -> ViewBatch:
        maps = check_maps(self.backbone(images))
        mirrored = check_maps(self.backbone(images.flip(-1))) if self.mirror == 'image' else None
        return cut_maps(maps, image_size(images), margin, mirror, mirrored)

    def _run_neck(self, maps: Tensor | tuple[Tensor, ...]) -> Any:
        return self.neck(maps) if self.with_neck else maps

    def _predict_batch(self, batch: ViewBatch, size: tuple[int, int]) -> ViewFields:
        """What the classifier says of all views; boxes in pixels of the input of ``size``."""
        blank = [DataSample(metainfo=dict(img_shape=batch.view)) for _ in range(batch.num_inputs)]
        if self.mode == 'features':
            samples = self.head.predict(self._run_neck(batch.inputs), blank)
        else:
            samples = self._inner[0].predict(batch.inputs, blank)
        views = len(batch.boxes)
        names = [name for name in samples[0].all_keys() if name.endswith('_score')]
        scores = {
            name: torch.stack([s.get(name) for s in samples]).unflatten(0, (-1, views))
            for name in names
        }
        if 'pred_instances' not in samples[0]:
            return ViewFields(scores, {})
        found = [sample.pred_instances for sample in samples]
        instances = {
            name: torch.stack([x[name] for x in found]).unflatten(0, (-1, views))
            for name in found[0].all_keys()
        }
        for name in [name for name in instances if name.startswith('input_')]:
            boxes = boxes_from_views(instances[name].float(), batch.boxes, batch.mirrored)
            instances[name] = resize_boxes(boxes, batch.scale, size)
        return ViewFields(scores, instances)


def _gather(runs: list[ViewFields]) -> ViewFields:
    """Scores (B, ...) averaged over the views of all runs; boxes one after the other."""
    scores, instances = (
        {name: torch.cat([run[field][name] for run in runs], dim=1) for name in runs[0][field]}
        for field in (0, 1)
    )
    averages = {name: values.float().mean(1) for name, values in scores.items()}
    if not instances:
        return ViewFields(averages, {})
    labels = instances['labels']
    index = torch.arange(labels.shape[1], device=labels.device)[None, :, None].expand_as(labels)
    rows = {name: values.flatten(1, 2) for name, values in (instances | dict(views=index)).items()}
    return ViewFields(averages, rows)


def _check_mode(inner: ImageClassifier, mode: str) -> None:
    if getattr(inner, 'reads_proposals', False):
        raise ValueError(
            f'model.classifier {type(inner).__name__} reads proposals, which its views have not: '
            'test it alone'
        )
    plain = all(
        getattr(type(inner), name) is getattr(ImageClassifier, name)
        for name in ('predict', 'extract_feat')
    )
    if mode == 'features' and not plain:
        raise ValueError(
            f"model.mode is 'features', but {type(inner).__name__} needs more than backbone, neck "
            "and head in a row: set model.mode='images'"
        )


def _label_threshold(head: object, chosen: float | None) -> float | Tensor:
    """Of the config; else of our heads, per class where tuned; else of mmpretrain's."""
    if chosen is not None:
        return chosen
    for name in ('label_threshold', 'threshold', 'thr'):
        if getattr(head, name, None) is not None:
            return getattr(head, name)
    raise ValueError(f'{type(head).__name__} has no threshold: set model.threshold')


def _load_other(index: int, config: dict) -> TenViews:
    key = f'model.others[{index}]'
    checkpoint = config.pop('checkpoint', None)
    if checkpoint is None or 'others' in config:
        raise ValueError(f'{key} has the keys {sorted(config)}, expected checkpoint and no others')
    if '://' not in str(checkpoint) and not Path(checkpoint).is_file():
        raise FileNotFoundError(f'{key}.checkpoint: no such file {checkpoint}')
    config.pop('type', None)
    model = TenViews(**config)
    try:
        load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} does not fit {key}: {error}') from error
    return model
