"""Object proposals in place of the regions that RDAL finds by itself (Section 5.3.1, Table 3).

B: images, K: regions per image, R: proposals per image.
"""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.models.base import MultiLabelClassifier
from mmmlc.models.predictions import input_size
from mmmlc.ops.boxes import resize_boxes
from mmmlc.registry import MODELS

from .attention import box_matrices
from .neck import AttentionRegions


def proposal_matrices(samples: list[DataSample], num_regions: int) -> Tensor:
    """Matrices of the best proposals of each image.

    Args:
        samples: With ``img_shape`` and, as :class:`mmmlc.proposals.LoadProposals` makes them,
            ``proposals`` (R, 4) as fractions of the image, ``proposal_scores`` (R,) and
            ``proposal_valid`` (R,) bool. R may differ.
        num_regions: K.

    Returns:
        (B, K, 2, 3), best first, on the samples' device. Where an image has fewer than K valid
        proposals the whole image stands for the missing ones.

    Raises:
        ValueError: if a sample has no proposals.
    """
    keys = ('proposals', 'proposal_scores', 'proposal_valid', 'img_shape')
    for sample in samples:
        if missing := [key for key in keys if key not in sample]:
            where = sample.get('img_path', 'a sample')
            raise ValueError(
                f'{where} has no {", ".join(missing)}: the pipeline needs mmmlc.LoadProposals'
            )
    proposals, scores, valid = (
        torch.nn.utils.rnn.pad_sequence([sample.get(key) for sample in samples], batch_first=True)
        for key in keys[:3]
    )
    absent = max(num_regions - valid.shape[1], 0)
    proposals = torch.nn.functional.pad(proposals, (0, 0, 0, absent))
    scores, valid = (torch.nn.functional.pad(x, (0, absent)) for x in (scores, valid))
    best = scores.masked_fill(~valid, -torch.inf).argsort(dim=1, descending=True, stable=True)
    best = best[:, :num_regions]
    boxes = proposals.gather(1, best[..., None].expand(-1, -1, 4))
    boxes = torch.where(valid.gather(1, best)[..., None], boxes, boxes.new_tensor([0, 0, 1, 1]))
    # From fractions of the image to fractions of the batch, which may be padded: as if the batch
    # shrank to the image.
    shapes = boxes.new_tensor([sample.img_shape[:2] for sample in samples])
    return box_matrices(resize_boxes(boxes, input_size(samples), shapes[:, None]))


@MODELS.register_module()
class ProposalClassifier(MultiLabelClassifier):
    """A classifier whose :class:`RecurrentAttention` reads proposals, in the order of their scores.

    Everything else stays: the first look is at the whole image, the head is the same. The neck has
    ``localisation='given'``, and the constraints, which would act on nothing, are off.

    Arguments as of ``mmpretrain.ImageClassifier``.
    """

    reads_proposals = True
    mixed_images_lose = 'proposals'

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of a training batch."""
        return self.head.loss(self._visit(inputs, data_samples), data_samples)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample], **kwargs: Any
    ) -> list[DataSample]:
        """Predict a batch, see :meth:`RecurrentAttentionHead.predict`."""
        return self.head.predict(self._visit(inputs, data_samples), data_samples, **kwargs)

    def _visit(self, inputs: Tensor, samples: list[DataSample]) -> AttentionRegions:
        maps = self.extract_feat(inputs, stage='backbone')
        matrices = proposal_matrices(samples or [], self.neck.num_regions)
        return self.neck(maps, matrices.to(inputs.device, non_blocking=True))
