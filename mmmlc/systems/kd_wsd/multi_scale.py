"""One size for all images of a batch, drawn anew for every batch.

B: images, (H, W): size of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import sync_random_seed
from mmpretrain.models import ClsDataPreprocessor

from mmmlc.registry import MODELS


@MODELS.register_module()
class MultiScaleDataPreprocessor(ClsDataPreprocessor):
    """``mmpretrain.ClsDataPreprocessor`` that resizes training batches to a size drawn for each.

    All processes draw the same sizes, so that none waits for another's larger images. Boxes given
    as fractions stay right; ``img_shape`` stays what the pipeline wrote. Let the pipeline resize
    to the largest scale, from where images only get smaller. In a test nothing is resized.

    Args:
        scales: Sides in pixels to draw from; batches become square.
        **kwargs: Of ``mmpretrain.ClsDataPreprocessor``.
    """

    def __init__(self, scales: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not scales or any(not isinstance(side, int) or side < 1 for side in scales):
            raise ValueError(
                f'data_preprocessor.scales is {scales!r}, expected one or more integers of at '
                'least 1'
            )
        self.scales = tuple(scales)
        self._generator: torch.Generator | None = None

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise and, in training, resize ``data['inputs']`` to (B, 3, side, side)."""
        data = super().forward(data, training)
        if training:
            side = self.scales[self._draw()]
            if data['inputs'].shape[-2:] != (side, side):
                data['inputs'] = F.interpolate(
                    data['inputs'], size=(side, side), mode='bilinear', antialias=True
                )
        return data

    def seed_draws(self, seed: int) -> None:
        """Let the next draws follow from a number that all processes share."""
        self._generator = (self._generator or torch.Generator()).manual_seed(seed)

    def _draw(self) -> int:
        # A generator of its own: those of the processes differ in what has been drawn from them.
        if self._generator is None:
            self.seed_draws(sync_random_seed())
        return int(torch.randint(len(self.scales), (), generator=self._generator))
