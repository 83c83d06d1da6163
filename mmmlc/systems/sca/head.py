"""The patch processors of SCA-DNN: two branches, four outputs, their losses and predictions.

B: images, P: patches of all images, R: proposals of an image, K: kept patches of an image,
C: classes, D: width of a patch's vector. Boxes are x1, y1, x2, y2 in pixels of the input.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mmmlc.models.base import MultiLabelHead
from mmmlc.ops.boxes import clip_boxes
from mmmlc.ops.checks import check_choice, check_fraction
from mmmlc.ops.nms import keep_proposals
from mmmlc.registry import MODELS

from .detection_parts import build_model, build_task_util
from .patches import (
    BRANCHES,
    best_scores,
    context_labels,
    expand_boxes,
    label_loss,
    location_loss,
    patch_loss,
    patch_scores,
)
from .predictions import KeptPatches, set_patches
from .relation import PatchRelation
from .sampling import PatchSampler
from .truth import TrueBoxes

LOSSES = ('location', 'patch', 'object', 'context')
CODER = dict(
    type='mmdet.DeltaXYWHBBoxCoder',
    target_means=[0.0, 0.0, 0.0, 0.0],
    target_stds=[0.1, 0.1, 0.2, 0.2],
)


class ObjectOutput(NamedTuple):
    """Of the object branch."""

    labels: Tensor  # (P, C) logits
    confidence: Tensor  # (P,) logit that the patch holds an object
    deltas: Tensor  # (P, 4) from the patch to the object's box, encoded


def _predictor(width: int, outputs: int, std: float, bias: float = 0.0) -> nn.Linear:
    layer = nn.Linear(width, outputs)
    nn.init.normal_(layer.weight, std=std)
    nn.init.constant_(layer.bias, bias)
    return layer


def _dense(inputs: int, width: int) -> nn.Sequential:
    layers = nn.Linear(inputs, width), nn.ReLU(inplace=True), nn.Linear(width, width)
    for layer in layers[::2]:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


@MODELS.register_module()
class SCAHead(MultiLabelHead):
    """Location regressor, patch classifier and two label predictors on RoIAlign's features.

    The slides name the four and their losses; sizes and rules are ours, see ``docs/sca.md``.

    Args:
        num_classes: C.
        roi_extractor: Config of an mmdet RoI extractor, used by both branches.
        width: D, of the two fully connected layers of each branch.
        expansion: Sides of a context patch over those of its object patch, at least 1.
        branch: What the image score is made of, and what is trained: ``'both'``, ``'object'`` or
            ``'context'``. Location regressor and patch classifier are trained in any case.
        relation_heads: Heads of the :class:`PatchRelation` before the object label predictor; 0 is
            none.
        assigner: Of training patches, see :class:`PatchSampler`.
        sampler: Likewise.
        bbox_coder: Config of mmdet's box coder.
        loss_weights: Of ``location``, ``patch``, ``object`` and ``context``; 1 where not given.
        prior: Score of a label that the predictors start with.
        threshold: Image score from which a class is in ``pred_label``, unless the checkpoint holds
            thresholds per class (``tools/tune_thresholds.py``), which come first.
        patch_nms_iou: Of two regressed boxes that overlap by more, whatever their classes, the one
            with the higher confidence is kept.
        max_patches: K.
        nms_iou: Likewise, of the located objects, per class.
        min_score: Located objects have a higher score.
        max_objects: Per image; C if that is more.
        init_cfg: Initialisation. The layers are initialised as the box head of mmdet's Faster R-CNN
            in any case, and the biases of the label predictors by ``prior``.
    """

    def __init__(
        self,
        num_classes: int,
        roi_extractor: dict,
        width: int = 1024,
        expansion: float = 2.0,
        branch: str = 'both',
        relation_heads: int = 0,
        assigner: dict | None = None,
        sampler: dict | None = None,
        bbox_coder: dict | None = None,
        loss_weights: dict[str, float] | None = None,
        prior: float = 0.01,
        threshold: float = 0.5,
        patch_nms_iou: float = 0.7,
        max_patches: int = 100,
        nms_iou: float = 0.5,
        min_score: float = 0.05,
        max_objects: int = 100,
        init_cfg: dict | None = None,
    ):
        super().__init__(num_classes, threshold, init_cfg=init_cfg)
        check_choice('head.branch', branch, BRANCHES)
        fractions = dict(patch_nms_iou=patch_nms_iou, nms_iou=nms_iou, min_score=min_score)
        for name, value in fractions.items():
            check_fraction(f'head.{name}', value)
        if not 0 < prior < 1:
            raise ValueError(f'head.prior is {prior}, expected a number above 0 and below 1')
        if not expansion >= 1:
            raise ValueError(f'head.expansion is {expansion}, expected a number of at least 1')
        if max_patches < 1:
            raise ValueError(f'head.max_patches is {max_patches}, expected at least 1')
        self.expansion = expansion
        self.branch = branch
        self.patch_nms_iou = patch_nms_iou
        self.max_patches = max_patches
        self.object_options: dict[str, Any] = dict(
            iou=nms_iou, min_score=min_score, top=max_objects
        )
        self.loss_weights = _weights(loss_weights)
        self.roi_extractor = build_model(roi_extractor)
        self.sampler = PatchSampler(num_classes, assigner, sampler)
        self.coder = build_task_util(bbox_coder or CODER)
        rows, columns = self.roi_extractor.roi_layers[0].output_size
        inputs, bias = (
            self.roi_extractor.out_channels * rows * columns,
            math.log(prior / (1 - prior)),
        )
        self.object_fcs, self.context_fcs = _dense(inputs, width), _dense(inputs, width)
        self.relation = PatchRelation(width, relation_heads) if relation_heads else None
        self.regressor = _predictor(width, 4, 0.001)
        self.patch_classifier = _predictor(width, 1, 0.01)
        self.object_predictor = _predictor(width, num_classes, 0.01, bias)
        self.context_predictor = _predictor(width, num_classes, 0.01, bias)

    def objects(self, maps: tuple[Tensor, ...], boxes: list[Tensor], sizes: Tensor) -> ObjectOutput:
        """The object branch on the patches ``boxes`` of each image."""
        vectors = self.object_fcs(self._pool(maps, boxes))
        related = vectors
        if self.relation is not None:
            related = self.relation(vectors, boxes, sizes)
        labels, confidence = self.object_predictor(related), self.patch_classifier(vectors)
        return ObjectOutput(
            labels.float(), confidence[:, 0].float(), self.regressor(vectors).float()
        )

    def contexts(self, maps: tuple[Tensor, ...], boxes: list[Tensor]) -> Tensor:
        """The context branch, logits (P, C), on the context patches ``boxes`` of each image."""
        return self.context_predictor(self.context_fcs(self._pool(maps, boxes))).float()

    def _pool(self, maps: tuple[Tensor, ...], boxes: list[Tensor]) -> Tensor:
        rows = torch.arange(len(boxes)).repeat_interleave(torch.tensor([len(x) for x in boxes]))
        flat = torch.cat(boxes).float()
        rois = torch.cat((rows.to(flat.device, non_blocking=True)[:, None].to(flat.dtype), flat), 1)
        # bfloat16 has no RoIAlign on a CPU, and places whole pixels only up to 256. mmcv's operator
        # reads maps in the channels-last format as if they were contiguous, without a word.
        maps = tuple(x.float().contiguous() for x in maps[: self.roi_extractor.num_inputs])
        with torch.autocast(flat.device.type, enabled=False):
            return self.roi_extractor(maps, rois).flatten(1)

    def loss(  # type: ignore[override]  # called by SCADNN alone, which has the proposals, too
        self,
        maps: tuple[Tensor, ...],
        proposals: list[Tensor],
        truths: list[TrueBoxes],
        sizes: Tensor,
    ) -> dict[str, Tensor]:
        """``loss_location``, ``loss_patch``, and ``loss_object`` and ``loss_context``, weighted.

        Args:
            maps: Of the pyramid.
            proposals: Of each image (R, 4).
            truths: Of each image.
            sizes: (B, 2) height and width of the images.
        """
        patches = self.sampler.sample(proposals, truths)
        output = self.objects(maps, patches.boxes, sizes)
        targets = self.coder.encode(torch.cat(patches.boxes), patches.matched)
        losses = dict(
            location=location_loss(output.deltas, targets, patches.positive),
            patch=patch_loss(output.confidence, patches.positive),
        )
        if self.branch != 'context':
            losses['object'] = label_loss(output.labels, patches.labels)
        if self.branch != 'object':
            losses['context'] = self._context_loss(maps, patches.boxes, truths, sizes)
        return {f'loss_{name}': self.loss_weights[name] * loss for name, loss in losses.items()}

    def _context_loss(
        self,
        maps: tuple[Tensor, ...],
        patches: list[Tensor],
        truths: list[TrueBoxes],
        sizes: Tensor,
    ) -> Tensor:
        counts = [len(x) for x in patches], [len(x.labels) for x in truths]
        images, box_images = (
            torch.arange(len(n)).repeat_interleave(torch.tensor(n)).to(sizes.device) for n in counts
        )
        contexts = expand_boxes(torch.cat(patches), self.expansion, sizes[images])
        boxes, labels = (torch.cat([x[i] for x in truths]) for i in (0, 1))
        targets = context_labels(contexts, images, boxes, box_images, labels, self.num_classes)
        return label_loss(self.contexts(maps, contexts.split(counts[0])), targets)

    def keep(self, maps: tuple[Tensor, ...], proposals: list[Tensor], sizes: Tensor) -> KeptPatches:
        """Regress the proposals, keep the best, and look at their contexts.

        Args:
            maps: Of the pyramid.
            proposals: Of each image (R, 4), R at least 1.
            sizes: (B, 2) height and width of the images.
        """
        counts = [len(x) for x in proposals]
        output, flat = self.objects(maps, proposals, sizes), torch.cat(proposals)
        boxes = self.coder.decode(flat, output.deltas)
        rows = (flat, boxes, output.confidence.sigmoid(), output.labels.sigmoid())
        dense = [pad_sequence(x.split(counts), batch_first=True) for x in rows]
        dense[1] = clip_boxes(dense[1], sizes[:, None])
        lengths = torch.tensor(counts).to(flat.device, non_blocking=True)
        valid = torch.arange(max(counts), device=flat.device) < lengths[:, None]
        kept = keep_proposals(dense[1], dense[2], valid, self.patch_nms_iou, self.max_patches)
        image = torch.arange(len(kept), device=kept.device)[:, None]
        patches, boxes, confidence, objects = (x[image, kept] for x in dense)
        contexts, seen = expand_boxes(patches, self.expansion, sizes[:, None]), None
        if self.branch != 'object':
            seen = self.contexts(maps, list(contexts)).sigmoid().unflatten(0, kept.shape)
        return KeptPatches(patches, boxes, contexts, confidence, objects, seen)

    def scores(self, kept: KeptPatches, branch: str | None = None) -> Tensor:
        """Image scores (B, C) in [0, 1], of ``branch`` or the head's own."""
        branch = branch or self.branch
        return best_scores(patch_scores(kept.confidence, kept.objects, kept.context_labels, branch))

    def predict(
        self, kept: KeptPatches, samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Samples with scores and boxes, see :meth:`SCADNN.predict`."""
        scores = {'pred_score': self.scores(kept), 'object_score': self.scores(kept, 'object')}
        located = kept.objects
        if kept.context_labels is not None:
            scores['context_score'] = self.scores(kept, 'context')
            located = kept.context_labels if self.branch == 'context' else kept.objects
        return set_patches(
            samples, kept, scores, located, self.label_threshold, **self.object_options
        )


def _weights(given: dict[str, float] | None) -> dict[str, float]:
    given = dict(given or {})
    for name, weight in given.items():
        check_choice('a key of head.loss_weights', name, LOSSES)
        if not weight >= 0:
            raise ValueError(f'head.loss_weights.{name} is {weight}, expected at least 0')
    return dict.fromkeys(LOSSES, 1.0) | given
