"""How well proposals alone would find the objects: the measure that a detector has to beat.

Legend: R proposals and M true boxes of an image, P pairs of an image and a class in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torchvision.ops import box_iou

from mmmlc.ops.boxes import to_pixels
from mmmlc.registry import METRICS

from .plain_keys import PlainKeysMetric

FIELDS = ('proposals', 'proposal_valid', 'boxes', 'box_labels', 'img_shape')


@METRICS.register_module()
class ProposalMetric(PlainKeysMetric):
    """CorLoc of the best-scored proposal, and recall of all, in percent.

    Keys: ``proposal_CorLoc``, as the CorLoc of :class:`WeakDetectionMetric` if the first proposal
    of an image were the region of each of its classes; ``proposal_recall``, the share of boxes that
    some proposal overlaps enough, and ``proposal_CorLoc_limit``, the CorLoc of the best possible
    choice among the proposals. Boxes that are difficult or crowd don't count.

    Samples hold ``proposals`` (R, 4), best first, and ``proposal_valid`` (R,) of
    ``mmmlc.LoadProposals``; ``boxes`` (M, 4) as fractions of the image, ``box_labels`` (M,), and
    optionally ``box_difficult`` and ``box_crowd`` (M,); and ``img_shape``. ``ValueError`` for a
    missing field, naming field and image, and where no box counts.

    Args:
        iou: Least IoU with a box, in (0, 1].
        **kwargs: Of :class:`~mmmlc.evaluation.plain_keys.PlainKeysMetric`.
    """

    def __init__(
        self,
        iou: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < iou <= 1:
            raise ValueError(f'iou is {iou}, expected a number above 0 and at most 1')
        self.iou = iou

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the overlaps of each box with the first and with the best proposal."""
        self.results.extend(_overlaps(sample) for sample in data_samples)

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """The three measures of the gathered samples."""
        if not results:
            raise ValueError('ProposalMetric got no samples: is the data set empty?')
        labels, first, best, counts, crowd = map(np.concatenate, zip(*results, strict=True))
        if not counts.any():
            raise ValueError(f'no box to find in {len(results)} images, all difficult or crowd')
        images = np.repeat(np.arange(len(results)), [len(result[0]) for result in results])
        pairs, pair = np.unique(np.stack([images, labels]), axis=1, return_inverse=True)
        pair = pair.ravel()
        there = np.bincount(pair, counts) > 0
        shares = []
        for overlap in (first, best):
            found = np.bincount(pair, (overlap >= self.iou) & ~crowd) > 0
            hits = np.bincount(pairs[1, there], found[there])
            number = np.bincount(pairs[1, there])
            shares.append(100 * float((hits[number > 0] / number[number > 0]).mean()))
        return dict(
            proposal_CorLoc=shares[0],
            proposal_CorLoc_limit=shares[1],
            proposal_recall=100 * float((best >= self.iou)[counts].mean()),
        )


def _overlaps(sample: dict) -> tuple[np.ndarray, ...]:
    """Of the M boxes: class, IoU with the first proposal and with the best, counted, crowd."""
    name = sample.get('img_path', sample.get('img_id', 'a sample'))
    if missing := [field for field in FIELDS if field not in sample]:
        raise ValueError(
            f'{name} has no {", ".join(missing)}: ProposalMetric needs a data set with boxes, and '
            'mmmlc.LoadProposals and mmmlc.PackInputs in its pipeline'
        )
    valid = torch.as_tensor(sample['proposal_valid']).cpu()
    boxes, proposals = (
        # The rounding takes back what fractions in 32 bits lost.
        to_pixels(torch.as_tensor(values).cpu().double(), sample['img_shape'][:2]).round(decimals=3)
        for values in (sample['boxes'], sample['proposals'])
    )
    overlap = torch.zeros(len(boxes), 1, dtype=torch.float64)  # where no proposal is valid
    if valid.any():
        overlap = box_iou(boxes, proposals[valid])
    flags = (
        torch.as_tensor(sample.get(field, torch.zeros(len(boxes)))).cpu().bool().numpy()
        for field in ('box_difficult', 'box_crowd')
    )
    difficult, crowd = flags
    labels = torch.as_tensor(sample['box_labels']).cpu().long().numpy()
    first, best = overlap[:, 0].numpy(), overlap.amax(1).numpy()
    return labels, first, best, ~(difficult | crowd), crowd
