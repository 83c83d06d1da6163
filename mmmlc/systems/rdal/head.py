"""The head of RDAL: fused scores, losses and predictions.

B: images, K: regions per image, C: classes, D: width of a region's feature.
"""

from __future__ import annotations

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.models.base import MultiLabelHead
from mmmlc.models.instances import set_instances
from mmmlc.models.predictions import (
    have_labels,
    input_size,
    set_all,
    set_predictions,
    stack_targets,
)
from mmmlc.ops.boxes import clip_boxes, to_pixels
from mmmlc.ops.checks import check_choice
from mmmlc.registry import MODELS

from .attention import matrix_boxes
from .losses import EuclideanSoftmaxLoss, RegionConstraintLoss
from .neck import AttentionRegions

# Plain PyTorch until here.
for _loss in (EuclideanSoftmaxLoss, RegionConstraintLoss):
    MODELS.register_module(module=_loss)

LOSSES = {'euclidean': 'mmmlc.EuclideanSoftmaxLoss', 'bce': 'mmmlc.MultiLabelBCELoss'}


@MODELS.register_module()
class RecurrentAttentionHead(MultiLabelHead):
    """Category-wise maximum over :class:`RecurrentAttention`'s regions (Eq. 6), and the losses.

    The paper trains a softmax, whose values sum to 1 over the classes, and yet keeps labels with a
    probability of at least 0.5. Which probability it means is open; ``probability`` decides.

    Args:
        num_classes: C, as in the neck.
        loss: On the fused scores: ``'euclidean'``, :class:`EuclideanSoftmaxLoss` (Eq. 7-8), in
            which images without labels count 0; ``'bce'``, :class:`mmmlc.models.MultiLabelBCELoss`;
            or the config of a loss that takes logits, targets and the mask of valid pairs.
        constraints: Config of :class:`RegionConstraintLoss`; by default all three are on.
        probability: What ``pred_score`` is: ``'sigmoid'`` of the fused scores, or their
            ``'softmax'``, which the Euclidean loss is about.
        feature: What :meth:`pre_logits` gives, ``'hidden'`` (h_k) or ``'sampled'`` (x_k). The
            paper doesn't say which it hands to the SVM; the default is our choice.
        threshold: Score from which a class is in ``pred_label``, unless the checkpoint holds
            thresholds per class (``tools/tune_thresholds.py``), which come first.
        init_cfg: Initialisation.
    """

    def __init__(
        self,
        num_classes: int,
        loss: str | dict = 'euclidean',
        constraints: dict | None = None,
        probability: str = 'sigmoid',
        feature: str = 'hidden',
        threshold: float = 0.5,
        init_cfg: dict | None = None,
    ):
        if isinstance(loss, str):
            check_choice('head.loss', loss, tuple(LOSSES))
            loss = dict(type=LOSSES[loss])
        super().__init__(num_classes, threshold, loss, init_cfg)
        check_choice('head.probability', probability, ('sigmoid', 'softmax'))
        check_choice('head.feature', feature, ('hidden', 'sampled'))
        self.probability = probability
        self.feature = feature
        self.constraints = MODELS.build(constraints or dict(type='mmmlc.RegionConstraintLoss'))

    def forward(self, regions: AttentionRegions) -> Tensor:
        """Fused logits (B, C), float32 also under AMP (Eq. 6)."""
        if regions.scores.shape[-1] != self.num_classes:
            raise ValueError(
                f'the neck scores {regions.scores.shape[-1]} classes, model.head.num_classes is '
                f'{self.num_classes}: set model.neck.num_classes={self.num_classes}'
            )
        return regions.scores.float().amax(1)

    def pre_logits(self, regions: AttentionRegions) -> Tensor:
        """Features (B, D) of the regions, their maximum (Section 5.1)."""
        return getattr(regions, self.feature).amax(1)

    def loss(self, regions: AttentionRegions, samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of a batch: ``loss_cls`` and the constraints, weighted; their sum is Eq. 14."""
        targets, valid = stack_targets(samples, self.num_classes)
        return dict(
            loss_cls=self.loss_module(self(regions), targets, valid),
            **self.constraints(regions.matrices),
        )

    def predict(
        self, regions: AttentionRegions, samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict a batch.

        Args:
            regions: Of the neck.
            samples: With ``img_shape``, or there is nothing to give boxes in; None makes new ones.

        Returns:
            Samples with ``pred_score`` (C,) as ``probability`` says, ``pred_label`` and
            ``softmax_score`` (C,). Where ``img_shape`` is known, ``pred_instances``, see
            :mod:`mmmlc.models.instances`: the K regions in the order they were visited, clipped to
            the image, the best class of each, and its sigmoid there. Where all samples have labels:
            ``image_loss``, the sum of the losses of this image alone.
        """
        logits = self(regions)
        softmax = logits.softmax(-1)
        scores = softmax if self.probability == 'softmax' else logits.sigmoid()
        samples = set_predictions(samples, scores, self.label_threshold)
        set_all(samples, softmax_score=softmax)
        if all('img_shape' in sample for sample in samples):
            self._set_regions(samples, regions)
        if have_labels(samples):
            set_all(samples, image_loss=self._image_losses(regions, samples))
        return samples

    @staticmethod
    def _set_regions(samples: list[DataSample], regions: AttentionRegions) -> None:
        boxes = to_pixels(matrix_boxes(regions.matrices), input_size(samples))
        # A batch of several sizes is padded to the right and below.
        shapes = boxes.new_tensor([sample.img_shape[:2] for sample in samples])
        boxes = clip_boxes(boxes, shapes[:, None])
        best = regions.scores.float().max(-1)
        rows = zip(samples, boxes, best.indices, best.values.sigmoid(), strict=True)
        for row in rows:
            set_instances(*row)

    def _image_losses(self, regions: AttentionRegions, samples: list[DataSample]) -> Tensor:
        """The loss of each image by itself, (B,)."""
        targets, valid = stack_targets(samples, self.num_classes)
        if valid is None:
            valid = torch.ones_like(targets, dtype=torch.bool)

        def total(logits: Tensor, matrices: Tensor, target: Tensor, valid: Tensor) -> Tensor:
            loss = self.loss_module(logits[None], target[None], valid[None])
            return loss + sum(self.constraints(matrices[None]).values())

        return torch.vmap(total)(self(regions), regions.matrices, targets, valid)
