"""Predictions of SCA-DNN as fields of the samples.

B: images, K: kept patches of an image, N: located objects of an image, C: classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.models.predictions import set_original_regions, set_predictions
from mmmlc.ops.boxes import original_boxes
from mmmlc.ops.nms import detect

if TYPE_CHECKING:
    from .head import KeptPatches


def set_patches(
    samples: list[DataSample] | None,
    kept: KeptPatches,
    scores: dict[str, Tensor],
    labels: Tensor,
    threshold: float | Tensor,
    **options: float,
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
    columns = dict(
        regions=found.boxes,
        region_scores=found.scores,
        region_labels=found.labels,
        contexts=kept.contexts[images, found.regions],
    )
    fields = {name: values.split(counts) for name, values in columns.items()}
    fields |= scores | dict(
        patches=kept.patches, patch_boxes=kept.boxes, patch_scores=kept.confidence
    )
    for name, rows in fields.items():
        for sample, row in zip(samples, rows, strict=True):
            sample.set_field(row, name)
    for sample in samples:
        _set_original(sample)
    return samples


def _set_original(sample: DataSample) -> None:
    if 'img_shape' not in sample:
        return
    set_original_regions(sample)
    contexts = original_boxes(sample.contexts, sample)
    if contexts is not None:
        sample.set_field(contexts, 'contexts_original')
