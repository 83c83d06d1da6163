"""Training patches: proposals matched with true boxes and sampled, and what they should learn.

B: images, P: patches of all images, M: boxes of an image, C: classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor

from .detection_parts import build_task_util
from .truth import TrueBoxes

if TYPE_CHECKING:
    from mmdet.models.task_modules import SamplingResult

# Those of mmdet's Faster R-CNN, except that proposals inside a crowd box are left out.
ASSIGNER = dict(
    type='mmdet.MaxIoUAssigner',
    pos_iou_thr=0.5,
    neg_iou_thr=0.5,
    min_pos_iou=0.5,
    match_low_quality=False,
    ignore_iof_thr=0.5,
)
SAMPLER = dict(
    type='mmdet.RandomSampler',
    num=512,
    pos_fraction=0.25,
    neg_pos_ub=-1,
    add_gt_as_proposals=True,
)


class TrainingPatches(NamedTuple):
    """Sampled patches, image by image."""

    boxes: list[Tensor]  # of each image (P of the image, 4) in pixels
    positive: Tensor  # (P,) bool: matches a true box
    matched: Tensor  # (P, 4) that box; for the others the patch itself
    labels: Tensor  # (P, C) one-hot class of that box, nothing for the others


class PatchSampler:
    """Matches proposals with true boxes and samples some of them, by mmdet's parts.

    Args:
        num_classes: C.
        assigner: Config of an mmdet assigner; by default a patch is positive from an IoU of 0.5.
        sampler: Config of an mmdet sampler; by default 512 patches an image, a quarter positive,
            the true boxes among the proposals.
    """

    def __init__(self, num_classes: int, assigner: dict | None = None, sampler: dict | None = None):
        self.num_classes = num_classes
        self.assigner = build_task_util(assigner or ASSIGNER)
        self.sampler = build_task_util(sampler or SAMPLER)

    def sample(self, proposals: list[Tensor], truths: list[TrueBoxes]) -> TrainingPatches:
        """Sample the patches of a batch.

        Args:
            proposals: Of each image (R, 4) in pixels.
            truths: Of each image.
        """
        # Image by image: mmdet's assigners know no batches.
        found = [self._of_image(*pair) for pair in zip(proposals, truths, strict=True)]
        counts = [(len(x.pos_priors), len(x.neg_priors)) for x in found]
        device = found[0].pos_priors.device
        flags = torch.tensor([True, False]).repeat(len(found))
        repeats = torch.tensor(counts).flatten()
        positive = flags.repeat_interleave(repeats).to(device, non_blocking=True)
        matched = [box for x in found for box in (x.pos_gt_bboxes, x.neg_priors)]
        background = [x.neg_inds.new_full(x.neg_inds.shape, self.num_classes) for x in found]
        pairs = zip(found, background, strict=True)
        labels = torch.cat([part for x, none in pairs for part in (x.pos_gt_labels, none)])
        one_hot = F.one_hot(labels, self.num_classes + 1)[:, :-1]
        return TrainingPatches([x.priors for x in found], positive, torch.cat(matched), one_hot)

    def _of_image(self, proposals: Tensor, truth: TrueBoxes) -> SamplingResult:
        priors, objects = InstanceData(priors=proposals), truth.objects()
        assigned = self.assigner.assign(priors, objects, truth.crowds())
        return self.sampler.sample(assigned, priors, objects)
