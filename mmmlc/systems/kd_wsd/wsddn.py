"""The WSDDN teacher of KD-WSD (T-WDet): a weakly supervised detector that classifies images.

Yongcheng Liu et al., Multi-Label Image Classification via Knowledge Distillation from
Weakly-Supervised Detection, ACM MM 2018, Section 3.1.

B: images, R: proposals per image, C: classes, D: channels of the map, V: width of the region
vectors, (h, w): map size, (H, W): input size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mmengine.model import Sequential
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmmlc.models.base import MultiLabelClassifier, MultiLabelHead
from mmmlc.models.instances import set_instances
from mmmlc.models.predictions import set_predictions, stack_proposals, stack_targets
from mmmlc.ops.boxes import image_size, to_pixels
from mmmlc.ops.checks import check_fraction
from mmmlc.ops.nms import detect
from mmmlc.registry import MODELS

from .weak_detection import (
    image_loss,
    image_scores,
    pool_regions,
    region_scores,
    spatial_regulariser,
)


class WSDDNOutput(NamedTuple):
    """What the teacher knows about a batch."""

    features: tuple[Tensor, ...]  # maps of the backbone, the last one (B, D, h, w)
    class_logits: Tensor  # (B, R, C), M^c
    detection_logits: Tensor  # (B, R, C), M^d
    boxes: Tensor  # (B, R, 4) x1, y1, x2, y2 in pixels of the input
    valid: Tensor  # (B, R) bool


@MODELS.register_module()
class WSDDNHead(MultiLabelHead):
    """RoI pooling, region vectors and the two branches, with loss and detections.

    Args:
        num_classes: C.
        in_channels: D.
        width: V, of fc6 and fc7; None for global average pooling of each region instead (V = D).
        fcs_init: Initialisation of fc6 and fc7, see ``configs/kd_wsd/teacher_vgg16_voc07.py``; by
            default normal with deviation 0.005.
        pool_size: Rows and columns of a pooled region.
        prior: Whether pooled regions are multiplied by the proposals' scores (Eq. 2).
        dropout: After fc6 and fc7.
        clamp: Of image scores in the loss, see :func:`image_loss`.
        spatial_weight: Factor of WSDDN's regulariser, see
            :func:`spatial_regulariser`; its authors take 1e-4, those of
            KD-WSD do without.
        threshold: Image score from which a class is in ``pred_label``, unless the checkpoint holds
            thresholds per class (``tools/tune_thresholds.py``), which come first.
        nms_iou: Of the detections, per class.
        min_score: Regions with a higher score of a class are detections of it; the best region of
            each class is in any case.
        max_detections: Per image; C if that is more.
        init_cfg: Initialisation of the branches; by default normal with deviation 0.01, and 0.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        width: int | None = 4096,
        fcs_init: dict | None = None,
        pool_size: int = 7,
        prior: bool = True,
        dropout: float = 0.5,
        clamp: float = 1e-6,
        spatial_weight: float = 0.0,
        threshold: float = 0.5,
        nms_iou: float = 0.4,
        min_score: float = 1e-3,
        max_detections: int = 100,
        init_cfg: dict | None = None,
    ):
        init_cfg = init_cfg or dict(type='mmengine.Normal', layer='Linear', std=0.01)
        super().__init__(num_classes, threshold, init_cfg=init_cfg)
        check_fraction('head.nms_iou', nms_iou)
        check_fraction('head.dropout', dropout)
        if not 0 < clamp < 0.5:
            raise ValueError(f'head.clamp is {clamp}, expected a number above 0 and below 0.5')
        if not spatial_weight >= 0:
            raise ValueError(f'head.spatial_weight is {spatial_weight}, expected at least 0')
        self.in_channels = in_channels
        self.pool_size = pool_size
        self.prior = prior
        self.clamp = clamp
        self.spatial_weight = spatial_weight
        self.detection_options: dict[str, Any] = dict(
            iou=nms_iou, min_score=min_score, top=max_detections
        )
        self.fcs = None
        if width is not None:
            init = fcs_init or dict(type='mmengine.Normal', layer='Linear', std=0.005)
            self.fcs = _make_fcs(in_channels * pool_size**2, width, dropout, init)
        self.class_branch = nn.Linear(width or in_channels, num_classes)
        self.detection_branch = nn.Linear(width or in_channels, num_classes)

    def forward(
        self,
        features: tuple[Tensor, ...],
        boxes: Tensor,
        prior: Tensor,
        input_size: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits and vectors of regions.

        Args:
            features: Of the backbone; the last one (B, D, h, w) is used.
            boxes: (B, R, 4) x1, y1, x2, y2 in pixels of the input.
            prior: (B, R) scores of the proposals.
            input_size: H, W.

        Returns:
            M^c (B, R, C), M^d (B, R, C) and vectors (B, R, V).
        """
        last = features[-1]
        if last.ndim != 4 or last.shape[1] != self.in_channels:
            raise ValueError(
                f'the backbone returns features of shape {tuple(last.shape)}, the head expects a '
                f'map (B, {self.in_channels}, h, w): see model.head.in_channels'
            )
        pooled = pool_regions(last, boxes, input_size, self.pool_size)
        if self.prior:
            pooled = pooled * prior.to(pooled.dtype)[..., None, None, None]
        vectors = pooled.mean((-2, -1)) if self.fcs is None else self.fcs(pooled.flatten(2))
        return self.class_branch(vectors), self.detection_branch(vectors), vectors

    def loss(  # type: ignore[override]  # called by WSDDN alone, which has the vectors, too
        self, output: WSDDNOutput, vectors: Tensor, samples: list[DataSample]
    ) -> dict[str, Tensor]:
        """``loss_image`` and, where it has a weight, ``loss_spatial``."""
        scores = region_scores(output.class_logits, output.detection_logits, output.valid)
        targets, labelled = stack_targets(samples, self.num_classes)
        losses = dict(loss_image=image_loss(image_scores(scores), targets, labelled, self.clamp))
        if self.spatial_weight:
            positive = targets if labelled is None else targets * labelled
            penalty = spatial_regulariser(scores, vectors, output.boxes, positive)
            losses['loss_spatial'] = self.spatial_weight * penalty
        return losses

    def predict(
        self, output: WSDDNOutput, samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Samples with scores and detections, see :meth:`WSDDN.predict`."""
        scores = region_scores(output.class_logits, output.detection_logits, output.valid)
        image = image_scores(scores).clamp(0, 1)
        samples = set_predictions(samples, image, self.label_threshold)
        found = detect(scores, output.boxes, **self.detection_options)
        counts = found.counts.tolist()
        split = [values.split(counts) for values in found[:3]]
        for sample, boxes, values, labels in zip(samples, *split, strict=True):
            set_instances(sample, boxes, labels, values)
        return samples


def _make_fcs(in_features: int, width: int, dropout: float, init_cfg: dict) -> Sequential:
    """fc6 and fc7, with the keys that they have in mmpretrain's ``VGG.classifier``."""
    layers = [nn.Linear(in_features, width), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    layers += [nn.Linear(width, width), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return Sequential(*layers, init_cfg=init_cfg)


@MODELS.register_module()
class WSDDN(MultiLabelClassifier):
    """Weakly supervised detector over any backbone with a feature map.

    Every image comes with its proposals (``mmmlc.LoadProposals``) and is resized as a whole to one
    size; fractions of the image times the size of the input tensor are pixels of the input.

    Args:
        backbone: Config of a backbone whose last output is a map.
        head: Config of :class:`WSDDNHead`.
        neck: Config of a neck that keeps the map; usually none.
        data_preprocessor: Config, without padding; ``mmpretrain.ClsDataPreprocessor`` unless it
            has a type. :class:`MultiScaleDataPreprocessor` draws a size for every batch.
        train_cfg: Batch augmentations would mix images but not their proposals: not allowed.
        pretrained: Checkpoint of the whole model, see ``mmpretrain.ImageClassifier``.
        init_cfg: Initialisation.
    """

    reads_proposals = True
    mixed_images_lose = 'proposals'

    def __init__(
        self,
        backbone: dict,
        head: dict,
        neck: dict | None = None,
        data_preprocessor: dict | None = None,
        train_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, head, neck, data_preprocessor, train_cfg, pretrained, init_cfg)
        divisor = getattr(self.data_preprocessor, 'pad_size_divisor', 1)
        if divisor != 1:
            raise ValueError(
                f'model.data_preprocessor.pad_size_divisor is {divisor}, expected 1: fractions of '
                'a padded input are not fractions of the image'
            )

    def regions(self, inputs: Tensor, samples: list[DataSample] | None) -> WSDDNOutput:
        """Feature maps, logits and boxes of the proposals of a batch, for distillation.

        Args:
            inputs: (B, 3, H, W) normalised images.
            samples: Of ``mmmlc.LoadProposals``; ValueError if they have no proposals.
        """
        return self._run(inputs, samples)[0]

    def _run(self, inputs: Tensor, samples: list[DataSample] | None) -> tuple[WSDDNOutput, Tensor]:
        """And the vectors (B, R, V)."""
        fractions, prior, valid = (
            x.to(inputs.device, non_blocking=True) for x in stack_proposals(samples)
        )
        size = image_size(inputs)
        boxes = to_pixels(fractions, size)
        features = self.extract_feat(inputs)
        classes, detections, vectors = self.head(features, boxes, prior, size)
        return WSDDNOutput(features, classes, detections, boxes, valid), vectors

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[DataSample]:
        """Run the model, as mmengine's runner calls it.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With proposals; in ``mode='loss'`` also with labels.
            mode: ``'tensor'`` for image scores (B, C) in [0, 1], ``'loss'`` or ``'predict'``.
        """
        if mode != 'tensor':
            return super().forward(inputs, data_samples, mode)
        output = self.regions(inputs, data_samples)
        scores = region_scores(output.class_logits, output.detection_logits, output.valid)
        return image_scores(scores)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of a training batch, see :meth:`WSDDNHead.loss`."""
        return self.head.loss(*self._run(inputs, data_samples), data_samples)

    def predict(self, inputs: Tensor, data_samples: list[DataSample]) -> list[DataSample]:
        """Predict a batch.

        Returns:
            The samples with ``pred_score`` (C,) in [0, 1], ``pred_label`` and the M detections,
            best first, in ``pred_instances``, see :mod:`mmmlc.models.instances`.
        """
        return self.head.predict(self.regions(inputs, data_samples), data_samples)
