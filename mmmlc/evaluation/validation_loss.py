"""The loss on the validation images, to keep the checkpoint where it is lowest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mmmlc.registry import METRICS

from .plain_keys import PlainKeysMetric


@METRICS.register_module()
class ValidationLoss(PlainKeysMetric):
    """Mean over all images, of all processes, of the loss that the head wrote to their samples.

    The key is ``loss``, so that ``mmengine.CheckpointHook(save_best='loss', rule='less')`` keeps
    the checkpoint where it is lowest.

    Args:
        field: Field of the samples with the loss of an image, a number or scalar tensor.
        **kwargs: Of :class:`~mmmlc.evaluation.plain_keys.PlainKeysMetric`.
    """

    def __init__(
        self,
        field: str = 'image_loss',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.field = field

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the losses of a batch; ValueError if a sample has none."""
        for sample in data_samples:
            if self.field not in sample:
                raise ValueError(
                    f'{sample.get("img_path", "a sample")} has no {self.field!r}: ValidationLoss '
                    'needs labels and a head that writes the loss, mmmlc.RecurrentAttentionHead'
                )
        losses = torch.stack([torch.as_tensor(sample[self.field]) for sample in data_samples])
        self.results.extend(losses.tolist())

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """The mean; ValueError if there was no sample."""
        if not results:
            raise ValueError('ValidationLoss got no samples: is the data set empty?')
        return dict(loss=sum(results) / len(results))
