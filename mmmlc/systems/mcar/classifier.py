"""MCAR: Learning to Discover Multi-Class Attentional Regions for Multi-Label Image Recognition.

Bin-Bin Gao and Hong-Yu Zhou, IEEE Transactions on Image Processing, 2021.

One network looks twice: at the whole image (global stream), then, with the same weights, at the N
regions that the class maps of the most likely classes point to (local stream).

B: images, C: classes, N: regions per image, (H, W): input size.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.models.base import MultiLabelClassifier
from mmmlc.models.instances import set_instances
from mmmlc.models.predictions import set_all, set_predictions
from mmmlc.ops.boxes import image_size
from mmmlc.ops.checks import check_choice
from mmmlc.registry import MODELS

from .regions import (
    RULES,
    SELECTIONS,
    attention_boxes,
    crop_regions,
    resize_images,
    select_classes,
)

PREDICTIONS = ('fused', 'global', 'local', 'mean')


class Streams(NamedTuple):
    """Outputs of both streams; all but the first are None without a local stream."""

    global_logits: Tensor  # (B, C)
    local_logits: Tensor | None = None  # (B, C), maximum over the regions (Eq. 3)
    boxes: Tensor | None = None  # (B, N, 4) x1, y1, x2, y2 in pixels of the input
    classes: Tensor | None = None  # (B, N) the class whose map each region comes from
    region_logits: Tensor | None = None  # (B, N) of that class in that region

    def logits(self, stream: str) -> Tensor:
        """Logits (B, C) of ``'global'``, ``'local'``, their maximum (``'fused'``) or ``'mean'``."""
        if stream == 'global' or self.local_logits is None:
            return self.global_logits
        if stream == 'local':
            return self.local_logits
        if stream == 'mean':
            return (self.global_logits + self.local_logits) / 2
        # The sigmoid is monotonic: the maximum of logits is the maximum of scores, and stable.
        return torch.maximum(self.global_logits, self.local_logits)


@MODELS.register_module()
class MCAR(MultiLabelClassifier):
    """Two-stream multi-label classifier over any backbone that returns a feature map.

    Args:
        backbone: Config of an mmpretrain backbone; its last output must be a map.
        head: Config of :class:`MultiLabelConvHead`.
        neck: Config of a neck that keeps the map; usually none.
        topn: N, regions per image, clamped to the number of classes; 0 is the plain baseline.
        tau: Threshold of the localisation in [0, 1) (Eq. 7).
        selection: Which classes make regions: ``'top'``, ``'bottom'`` or ``'random'`` (Table V).
        rule: Localisation ``'authors'`` (as in the released code) or ``'paper'`` (Eq. 7), see
            :func:`peak_intervals`.
        loss: ``'pair'``, a loss per stream (Eq. 8), or ``'single'``, one on their maximum (Eq. 12).
        prediction: ``'fused'``, the maximum of both streams as in the paper, ``'local'``,
            ``'global'``, which skips the local stream, or, ours, ``'mean'`` of both logits.
        stream_scale: Ours: size of what both streams see, as a fraction of the input in (0, 1].
            Below 1 the regions are cut out of larger images than the global stream sees, and show
            more detail at the same cost. 1 is the paper's.
        data_preprocessor: Config; ``mmpretrain.ClsDataPreprocessor`` unless it has a type.
        train_cfg: Batch augmentations, see ``mmpretrain.ImageClassifier``.
        pretrained: Checkpoint of the whole model, see ``mmpretrain.ImageClassifier``.
        init_cfg: Initialisation.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        neck: dict | None = None,
        topn: int = 4,
        tau: float = 0.5,
        selection: str = 'top',
        rule: str = 'authors',
        loss: str = 'pair',
        prediction: str = 'fused',
        stream_scale: float = 1.0,
        data_preprocessor: dict | None = None,
        train_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, head, neck, data_preprocessor, train_cfg, pretrained, init_cfg)
        if not isinstance(topn, int) or topn < 0:
            raise ValueError(f'model.topn is {topn!r}, expected an integer of at least 0')
        if not 0 <= tau < 1:
            raise ValueError(f'model.tau is {tau}, expected a threshold in [0, 1)')
        if not 0 < stream_scale <= 1:
            raise ValueError(f'model.stream_scale is {stream_scale}, expected a number in (0, 1]')
        check_choice('model.selection', selection, SELECTIONS)
        check_choice('model.rule', rule, RULES)
        check_choice('model.loss', loss, ('pair', 'single'))
        check_choice('model.prediction', prediction, PREDICTIONS)
        self.topn = topn
        self.tau = tau
        self.selection = selection
        self.rule = rule
        self.loss_kind = loss
        self.prediction = prediction
        self.stream_scale = stream_scale

    def streams(self, images: Tensor, local: bool = True) -> Streams:
        """Run both streams on images (B, 3, H, W); only the global one without ``local``."""
        seen = resize_images(images, self.stream_scale)
        features = self.extract_feat(seen)
        global_logits = self.head(features)
        if not local or self.topn == 0:
            return Streams(global_logits)
        classes, boxes = self.find_regions(features, global_logits, image_size(images))
        crops = crop_regions(images, boxes, image_size(seen))
        logits = self.head(self.extract_feat(crops.flatten(0, 1))).unflatten(0, crops.shape[:2])
        own = logits.gather(2, classes[..., None])[..., 0]
        return Streams(global_logits, logits.amax(1), boxes, classes, own)

    @torch.no_grad()
    def find_regions(
        self, features: tuple[Tensor, ...], logits: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """From the global stream to regions (Section III-B); carries no gradient.

        Args:
            features: Of the backbone.
            logits: (B, C) of the global stream.
            size: (H, W) of the input.

        Returns:
            Classes (B, N) and boxes (B, N, 4) x1, y1, x2, y2 in pixels of the input.
        """
        classes = select_classes(logits, self.topn, self.selection)
        maps = self.head.class_maps(features, classes).sigmoid()
        return classes, attention_boxes(maps, size, self.tau, self.rule)

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[DataSample]:
        """Run the model, as mmengine's runner calls it.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: Labels for ``mode='loss'``; for ``'predict'`` the samples to write to.
            mode: ``'tensor'`` for logits (B, C), ``'loss'`` or ``'predict'``.
        """
        if mode == 'tensor':
            return self.streams(inputs, self.prediction != 'global').logits(self.prediction)
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of a training batch (Eq. 8 or 12)."""
        streams = self.streams(inputs)
        if streams.local_logits is None or self.loss_kind == 'single':
            return dict(loss=self.head.loss_from_logits(streams.logits('fused'), data_samples))
        return dict(
            loss_global=self.head.loss_from_logits(streams.global_logits, data_samples),
            loss_local=self.head.loss_from_logits(streams.local_logits, data_samples),
        )

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict a batch.

        Returns:
            Samples with ``pred_score`` (C,) in [0, 1], ``pred_label``, ``global_score`` (C,) and,
            where the local stream ran, ``local_score`` (C,) and ``pred_instances``, see
            :mod:`mmmlc.models.instances`: the N regions, the class whose map each comes from, and
            the local stream's score of that class in that region.
        """
        streams = self.streams(inputs, self.prediction != 'global')
        scores = streams.logits(self.prediction).float().sigmoid()
        samples = set_predictions(data_samples, scores, self.head.label_threshold)
        set_all(samples, global_score=streams.global_logits.float().sigmoid())
        if streams.local_logits is None:
            return samples
        # With the local stream, all of its outputs are there.
        local, boxes, classes, logits = cast(tuple[Tensor, ...], streams[1:])
        set_all(samples, local_score=local.float().sigmoid())
        for row in zip(samples, boxes, classes, logits.float().sigmoid(), strict=True):
            set_instances(*row)
        return samples
