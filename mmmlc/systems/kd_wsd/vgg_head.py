"""The fully connected layers of VGG on top of its last convolution, for several labels.

B: images, C: classes, D: channels, V: width, (h, w): map size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import Sequential
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmmlc.models.base import MultiLabelHead
from mmmlc.models.predictions import have_labels, set_all, set_predictions, stack_targets
from mmmlc.ops.checks import check_fraction
from mmmlc.registry import MODELS


@MODELS.register_module()
class VGGHead(MultiLabelHead):
    """Pooling, fc6, fc7 and a classifier: the student of KD-WSD (S-Cls), a plain VGG.

    Sits on ``mmpretrain.VGG(with_last_pool=False)``, whose conv5_3 the distillation needs. The
    classifier starts from Xavier's initialisation (Section 3.3).

    Args:
        num_classes: C.
        in_channels: D.
        map_size: Side of the map after pooling; 7 belongs to inputs of 224 x 224.
        pool: Size and stride of the max-pooling that comes first (pool5).
        width: V.
        fcs_init: Initialisation of fc6 and fc7, see ``configs/kd_wsd/student_vgg16_coco.py``; by
            default normal with deviation 0.005.
        dropout: After fc6 and fc7.
        loss: Config of the loss, called with logits, targets and the mask of valid pairs; by
            default the binary cross-entropy, summed over classes and averaged over images (Eq. 10).
        threshold: Score from which a class is in ``pred_label``, unless the checkpoint holds
            thresholds per class (``tools/tune_thresholds.py``), which come first.
        init_cfg: Initialisation of the classifier.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        map_size: int = 7,
        pool: int = 2,
        width: int = 4096,
        fcs_init: dict | None = None,
        dropout: float = 0.5,
        loss: dict | None = None,
        threshold: float = 0.5,
        init_cfg: dict | None = None,
    ):
        loss = loss or dict(type='mmmlc.MultiLabelBCELoss', weight=float(num_classes))
        init_cfg = init_cfg or dict(type='mmengine.Xavier', layer='Linear')
        super().__init__(num_classes, threshold, loss, init_cfg)
        check_fraction('head.dropout', dropout)
        self.in_shape = (in_channels, map_size * pool, map_size * pool)
        self.pool = nn.MaxPool2d(pool)
        # The keys of mmpretrain's VGG.classifier, whose last layer is number 6.
        self.fcs = Sequential(
            *(nn.Linear(in_channels * map_size**2, width), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout)),
            init_cfg=fcs_init or dict(type='mmengine.Normal', layer='Linear', std=0.005),
        )
        self.classifier = nn.Linear(width, num_classes)

    def pre_logits(self, features: tuple[Tensor, ...]) -> Tensor:
        """Vectors (B, V) of fc7; ValueError where the map is of another size."""
        last = features[-1] if isinstance(features, (tuple, list)) else features
        if tuple(last.shape[1:]) != self.in_shape:
            raise ValueError(
                f'the backbone returns features of shape {tuple(last.shape)}, VGGHead expects '
                f'(B, {", ".join(map(str, self.in_shape))}): VGG-16 with with_last_pool=False and '
                f'inputs of {16 * self.in_shape[1]} x {16 * self.in_shape[2]}'
            )
        return self.fcs(self.pool(last).flatten(1))

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C) of the last feature map (B, D, h, w)."""
        return self.classifier(self.pre_logits(features))

    def predict(
        self, features: tuple[Tensor, ...], samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Samples with ``pred_score`` (C,) and ``pred_label``.

        Those with labels also get ``image_loss``, Eq. 10 of this image, for
        :class:`mmmlc.evaluation.ValidationLoss`.
        """
        logits = self(features).float()
        samples = set_predictions(samples, logits.sigmoid(), self.label_threshold)
        if have_labels(samples):
            set_all(samples, image_loss=self._image_losses(logits, samples))
        return samples

    def _image_losses(self, logits: Tensor, samples: list[DataSample]) -> Tensor:
        """Of each image by itself, (B,)."""
        targets, valid = stack_targets(samples, self.num_classes)
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
        return (losses if valid is None else torch.where(valid, losses, 0)).sum(1)
