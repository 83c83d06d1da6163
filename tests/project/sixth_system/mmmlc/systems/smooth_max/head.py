"""The head: class maps, their smooth maximum, a sigmoid. B: images, C: classes, D: channels."""

from __future__ import annotations

from torch import Tensor, nn

from mmmlc.models.base import MultiLabelHead
from mmmlc.registry import MODELS

from .pooling import smooth_max


@MODELS.register_module()
class SmoothMaxHead(MultiLabelHead):
    """A map per class by a 1x1 convolution, and its smooth maximum as the logit.

    Args:
        num_classes: C.
        in_channels: D, channels of the backbone's last feature map.
        sharpness: Above 0; see :func:`~mmmlc.systems.smooth_max.pooling.smooth_max`.
        loss: Config of the loss; the ranking of pairs by default.
        threshold: Score from which a class is in ``pred_label``.
        init_cfg: Initialisation.

    Raises:
        ValueError: for a sharpness that is not above 0.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        sharpness: float = 4.0,
        loss: dict | None = None,
        threshold: float = 0.5,
        init_cfg: dict | None = None,
    ):
        loss = loss or dict(type='mmmlc.PairRankingLoss')
        super().__init__(num_classes, threshold, loss, init_cfg)
        if not sharpness > 0:
            raise ValueError(f'head.sharpness is {sharpness}, expected a number above 0')
        self.sharpness = sharpness
        self.classifier = nn.Conv2d(in_channels, num_classes, kernel_size=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C) of the last feature map (B, D, h, w)."""
        return smooth_max(self.classifier(features[-1]), self.sharpness)
