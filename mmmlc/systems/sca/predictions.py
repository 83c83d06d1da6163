"""Predictions of SCA-DNN as fields of the samples.

B: images, K: kept patches of an image, N: located objects of an image, C: classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.models.instances import set_instances
from mmmlc.models.predictions import set_all, set_predictions
from mmmlc.ops.nms import detect


class KeptPatches(NamedTuple):
    """The patches that make the prediction; an image with fewer than K repeats its best ones."""

    patches: Tensor  # (B, K, 4) as proposed
    boxes: Tensor  # (B, K, 4) regressed
    contexts: Tensor  # (B, K, 4) expanded
    confidence: Tensor  # (B, K) in [0, 1]
    objects: Tensor  # (B, K, C) in [0, 1]
    context_labels: Tensor | None  # (B, K, C) in [0, 1]; None without the context branch


def set_patches(
    samples: list[DataSample] | None,
    kept: KeptPatches,
    scores: dict[str, Tensor],
    labels: Tensor,
    threshold: float | Tensor,
    **options: Any,
) -> list[DataSample]:
    """Write image scores, located objects, their contexts and the patches to the samples.

    Args:
        samples: B samples; None makes new ones.
        kept: The patches.
        scores: ``pred_score`` and others by field, (B, C).
        labels: (B, K, C) in [0, 1]: times the confidence they are the scores of located objects.
        threshold: Of ``pred_label``, for all classes or for each (C,).
        **options: ``min_score``, ``iou`` and ``top`` of :func:`mmmlc.ops.nms.detect`.
    """
    samples = set_predictions(samples, scores['pred_score'], threshold)
    located = kept.confidence[..., None] * labels
    # detect() keeps the best region of each class above 0, which weak supervision needs.
    located = located * (located > options['min_score'])
    found = detect(located, kept.boxes, **options)
    counts = found.counts.tolist()
    images = torch.arange(len(samples)).repeat_interleave(torch.tensor(counts))
    images = images.to(found.boxes.device, non_blocking=True)
    contexts = kept.contexts[images, found.regions]
    columns = (found.boxes, found.labels, found.scores, contexts)
    set_all(samples, **scores)
    objects = zip(*(values.split(counts) for values in columns), strict=True)
    patches = zip(kept.boxes, kept.patches, kept.confidence, strict=True)
    for sample, (*instances, context), patch in zip(samples, objects, patches, strict=True):
        names = ('input_bboxes', 'input_proposals', 'scores')
        fields = InstanceData(**dict(zip(names, patch, strict=True)))
        sample.set_field(fields, 'pred_patches', dtype=InstanceData)
        set_instances(sample, *instances, input_contexts=context)
    return samples
