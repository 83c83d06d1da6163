"""Boxes of a prediction, in the form that mmdet's metrics and visualizer read.

N: boxes of an image. ``sample.pred_instances`` is an ``InstanceData`` with

- ``bboxes`` (N, 4) float32, x1, y1, x2, y2 in pixels of the original image; left out where the
  transforms left no record of the way back (a crop);
- ``input_bboxes`` (N, 4), the same in pixels of the network's input;
- ``labels`` (N,) int64, classes, and ``scores`` (N,) in [0, 1];
- what a system adds of its own, a row each.
"""

from __future__ import annotations

import functools
import logging

from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.aliases import set_old_fields
from mmmlc.ops.boxes import original_boxes


def set_instances(
    sample: DataSample, boxes: Tensor, labels: Tensor, scores: Tensor, **more: Tensor
) -> None:
    """Write ``pred_instances`` to a sample, and the names that version 0.1 had for its parts.

    Args:
        sample: With ``ori_shape`` and ``img_shape`` and the records of flips and resizes.
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the network's input.
        labels: (N,).
        scores: (N,) in [0, 1].
        **more: Values (N, ...) of a system. Those called ``input_*`` are boxes (N, 4) in pixels of
            the network's input, and also written without the prefix, in those of the original.
    """
    instances = InstanceData(input_bboxes=boxes, labels=labels, scores=scores, **more)
    for name in [name for name in instances.all_keys() if name.startswith('input_')]:
        original = original_boxes(instances[name], sample)
        if original is not None:
            instances[name.removeprefix('input_')] = original
        elif 'ori_shape' in sample:
            _warn_no_way_back()
    sample.set_field(instances, 'pred_instances', dtype=InstanceData)
    set_old_fields(sample)


@functools.cache  # once a process, not once an image
def _warn_no_way_back() -> None:
    message = 'The pipeline crops, so regions are given in pixels of the network input only.'
    print_log(message, 'current', logging.WARNING)
