"""The true boxes of a batch, as SCA-DNN trains with them. B: images, M: boxes of an image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.ops.boxes import to_pixels

# A box with a shorter side cannot be regressed to: its width and height are logarithms there.
MIN_SIDE = 1.0


class TrueBoxes(NamedTuple):
    """All annotated boxes of an image."""

    boxes: Tensor  # (M, 4) x1, y1, x2, y2 in pixels of the input
    labels: Tensor  # (M,)
    crowd: Tensor  # (M,) bool: neither an object to find nor background

    def objects(self) -> InstanceData:
        """Boxes to find, at least one pixel wide and high."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return self._select(~self.crowd & (sides >= MIN_SIDE).all(-1))

    def crowds(self) -> InstanceData:
        """Boxes in which nothing is background."""
        return self._select(self.crowd)

    def _select(self, rows: Tensor) -> InstanceData:
        return InstanceData(bboxes=self.boxes[rows], labels=self.labels[rows])


def true_boxes(
    samples: list[DataSample] | None, num_classes: int, device: torch.device | str = 'cpu'
) -> list[TrueBoxes]:
    """Read the boxes of a batch.

    Args:
        samples: With ``img_shape``, ``boxes`` (M, 4) as fractions of the image, ``box_labels`` (M,)
            and optionally ``box_crowd`` (M,) bool. M may be 0.
        num_classes: C.
        device: Of the result.

    Raises:
        ValueError: if a sample has no boxes, or its fields don't agree.
    """
    if not samples:
        raise ValueError('SCA-DNN got no data samples, expected samples with boxes to train with')
    return [_read(sample, num_classes, device) for sample in samples]


def _read(sample: DataSample, num_classes: int, device: torch.device | str) -> TrueBoxes:
    where = sample.get('img_path', 'a sample')
    if missing := [key for key in ('boxes', 'box_labels', 'img_shape') if key not in sample]:
        raise ValueError(
            f'{where} has no {", ".join(missing)}: SCA-DNN trains with boxes, image labels are not '
            'enough. Take a data set that has them (mmmlc.CocoMultiLabel, mmmlc.VOC) with '
            'with_boxes=True and mmmlc.PackInputs in its pipeline'
        )
    boxes, labels = torch.as_tensor(sample.boxes), torch.as_tensor(sample.box_labels)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise ValueError(
            f'{where} has boxes of shape {tuple(boxes.shape)} and box_labels of shape '
            f'{tuple(labels.shape)}, expected (M, 4) and (M,)'
        )
    # The boxes come from the loader, on the CPU: this costs no synchronisation.
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f'{where} has box_labels from {int(labels.min())} to {int(labels.max())}, expected 0 '
            f'to {num_classes - 1}: see model.head.num_classes'
        )
    crowd = torch.as_tensor(sample.get('box_crowd', torch.zeros(len(labels))), dtype=torch.bool)
    pixels = to_pixels(boxes.float(), sample.img_shape[:2])
    return TrueBoxes(*(x.to(device, non_blocking=True) for x in (pixels, labels.long(), crowd)))
