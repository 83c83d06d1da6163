"""The multi-label head shared by plain baselines and MCAR.

B: images, C: classes, D: channels, N: selected classes, (h, w): map size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mmmlc.ops.checks import check_choice, check_fraction
from mmmlc.ops.pooling import POOLINGS, global_pool
from mmmlc.registry import MODELS

from .base import MultiLabelHead


def last_map(features: Tensor | Sequence[Tensor], in_channels: int) -> Tensor:
    """The last of the features, checked to be a map (B, D, h, w) with the channels of a head.

    Args:
        features: Of a backbone or neck.
        in_channels: D, the head's.

    Raises:
        ValueError: for anything else, with the key of the config that puts it right.
    """
    last = features if isinstance(features, Tensor) else features[-1]
    if last.ndim != 4:
        raise ValueError(
            f'the backbone returns features of shape {tuple(last.shape)}, the head expects a '
            "map (B, D, h, w): a transformer needs model.backbone.out_type='featmap', "
            'ConvNeXt model.backbone.gap_before_final_norm=False, and no pooling neck'
        )
    if last.shape[1] != in_channels:
        raise ValueError(
            f'the backbone returns {last.shape[1]} channels, '
            f'model.head.in_channels is {in_channels}'
        )
    return last


@MODELS.register_module()
class MultiLabelConvHead(MultiLabelHead):
    """Global pooling, a 1x1 convolution and a sigmoid (MCAR, Eq. 1-2).

    In ``mmpretrain.ImageClassifier`` it makes the plain baseline; MCAR also reads the
    class maps of the same convolution.

    Args:
        num_classes: C.
        in_channels: D, channels of the backbone's (or neck's) last feature map.
        pooling: ``'gap'``, ``'gmp'`` or ``'gwp'`` (their weighted sum).
        pooling_weight: Share of the average in ``'gwp'``, lambda of Eq. 15.
        loss: Config of the loss, called with logits, targets and the mask of valid pairs; the mean
            binary cross-entropy by default.
        threshold: Score from which a class is in ``pred_label``, unless the checkpoint holds
            thresholds per class (``tools/tune_thresholds.py``), which come first.
        init_cfg: Initialisation; by default the convolution's weight is normal with deviation 0.01
            and its bias 0.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        pooling: str = 'gap',
        pooling_weight: float = 0.5,
        loss: dict | None = None,
        threshold: float = 0.5,
        init_cfg: dict | None = None,
    ):
        loss = loss or dict(type='mmmlc.MultiLabelBCELoss')
        init_cfg = init_cfg or dict(type='mmengine.Normal', layer='Conv2d', std=0.01)
        super().__init__(num_classes, threshold, loss, init_cfg)
        check_choice('head.pooling', pooling, POOLINGS)
        check_fraction('head.pooling_weight', pooling_weight)
        self.in_channels = in_channels
        self.pooling = pooling
        self.pooling_weight = pooling_weight
        self.classifier = nn.Conv2d(in_channels, num_classes, kernel_size=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C) of the last feature map (B, D, h, w)."""
        pooled = self.pre_logits(features)
        return self.classifier(pooled[..., None, None])[..., 0, 0]

    def pre_logits(self, features: tuple[Tensor, ...]) -> Tensor:
        """Pooled features (B, D)."""
        return global_pool(self.feature_map(features), self.pooling, self.pooling_weight)

    def feature_map(self, features: tuple[Tensor, ...]) -> Tensor:
        """The last of the features, checked to be a map (B, D, h, w)."""
        return last_map(features, self.in_channels)

    def class_maps(self, features: tuple[Tensor, ...], classes: Tensor) -> Tensor:
        """Class activation maps of selected classes only (Eq. 4).

        Args:
            features: Of the backbone; the last one (B, D, h, w) is used.
            classes: (B, N) class indices.

        Returns:
            (B, N, h, w) logits, float32 also under AMP.
        """
        last = self.feature_map(features)
        with torch.autocast(last.device.type, enabled=False):
            weight = self.classifier.weight.float().flatten(1)[classes]
            bias = cast(Tensor, self.classifier.bias).float()[classes]  # it has one by default
            maps = torch.baddbmm(bias[..., None], weight, last.float().flatten(2))
        return maps.unflatten(2, last.shape[-2:])
