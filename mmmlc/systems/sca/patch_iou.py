"""What a location regressor gains: IoU with the true boxes before and after it.

K: patches of an image, M: true boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from mmmlc.aliases import new_fields
from mmmlc.evaluation.plain_keys import PlainKeysMetric
from mmmlc.ops.boxes import to_pixels
from mmmlc.registry import METRICS

# Proposed patches with their regressed boxes, and true boxes: what they are called in the samples.
FIELDS = ('pred_patches', 'boxes', 'img_shape')


@METRICS.register_module()
class PatchIoU(PlainKeysMetric):
    """Mean IoU with the true boxes, of proposed patches and of their regressed boxes, in percent.

    A patch belongs to the true box that it overlaps most, if their IoU is at least ``iou``; what it
    is regressed to is compared with the same box. Keys:

    - ``patch_IoU`` and ``box_IoU``: mean over these patches, before and after the regression;
    - ``best_patch_IoU`` and ``best_box_IoU``: mean over the true boxes of the highest IoU of any
      patch of the image, before and after;
    - ``matched_patches``: how many patches the first two are the mean of.

    Crowd boxes play no part. Samples have ``pred_patches`` with ``input_proposals`` and
    ``input_bboxes`` (K, 4) in pixels of the input, as :class:`SCADNN` writes them, ``boxes`` (M, 4)
    as fractions of the image, ``img_shape`` and optionally ``box_crowd`` (M,). A patch given twice
    counts once.

    Args:
        iou: Least IoU of a patch with its box, above 0.
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
        """Keep sums and counts of each sample."""
        self.results.extend(self._sums(sample) for sample in data_samples)

    def _sums(self, sample: dict) -> tuple[float, ...]:
        """Sums of IoU of matched patches and of true boxes, before and after; their numbers."""
        pairs, true = _read(sample)
        if not len(true) or not len(pairs):
            return (0.0, 0.0, 0, 0.0, 0.0, len(true))
        before, after = box_iou(pairs[:, :4], true), box_iou(pairs[:, 4:], true)
        overlap, box = before.max(1)
        matched = overlap >= self.iou
        moved = after.gather(1, box[:, None])[matched, 0]
        best = before.amax(0).sum(), after.amax(0).sum()
        sums = (overlap[matched].sum(), moved.sum(), matched.sum(), *best)
        return (*(x.item() for x in sums), len(true))

    def compute_metrics(self, results: list[tuple[float, ...]]) -> dict[str, float]:
        """The means; ValueError if there is no true box, NaN where no patch matches one."""
        before, after, patches, best_before, best_after, boxes = map(
            sum, zip(*results, strict=True)
        )
        if not boxes:
            raise ValueError(f'no box in {len(results)} images: is it a split without annotations?')
        values = dict(
            patch_IoU=before / patches if patches else float('nan'),
            box_IoU=after / patches if patches else float('nan'),
            best_patch_IoU=best_before / boxes,
            best_box_IoU=best_after / boxes,
        )
        percent = {key: 100 * value for key, value in values.items()}
        return percent | dict(matched_patches=patches)


def _read(sample: dict) -> tuple[Tensor, Tensor]:
    """Patches with their boxes (K, 8), each once, and true boxes (M, 4), in pixels."""
    sample = new_fields(sample)
    where = sample.get('img_path', 'a sample')
    if missing := [key for key in FIELDS if key not in sample]:
        raise ValueError(
            f'{where} has no {", ".join(missing)}: PatchIoU needs a model that proposes patches '
            '(mmmlc.SCADNN), and a data set with boxes (with_boxes=True, mmmlc.PackInputs)'
        )
    found = sample['pred_patches']
    if missing := [key for key in ('input_proposals', 'input_bboxes') if key not in found]:
        raise ValueError(f'{where} has no {", ".join(missing)} in pred_patches, as PatchIoU needs')
    patches, regressed, boxes = (
        torch.as_tensor(values).detach().cpu().float()
        for values in (found['input_proposals'], found['input_bboxes'], sample['boxes'])
    )
    if patches.shape != regressed.shape or patches.shape[1:] != (4,):
        raise ValueError(
            f'{where} has pred_patches with input_proposals of shape {tuple(patches.shape)} and '
            f'input_bboxes of shape {tuple(regressed.shape)}, expected (K, 4) both'
        )
    crowd = torch.as_tensor(sample.get('box_crowd', torch.zeros(len(boxes)))).bool()
    true = to_pixels(boxes[~crowd], sample['img_shape'][:2])
    return torch.cat((patches, regressed), dim=1).unique(dim=0), true
