"""Crops that boxes and proposals follow.

M: boxes of an image, R: proposals, H, W: height and width of the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import mmcv
import mmcv.transforms as mmcv_t
import mmpretrain.datasets.transforms as mmpretrain_t
import numpy as np

from mmmlc.ops.boxes import Window, crop_boxes
from mmmlc.registry import TRANSFORMS

BOX_FIELDS = ('boxes', 'box_labels', 'box_crowd', 'box_areas', 'box_difficult')


def crop(results: dict, window: Window) -> None:
    """Crop the image of a sample, with its boxes and proposals.

    Boxes are clipped to the window. Those outside of it go, with their rows of ``box_labels``,
    ``box_crowd``, ``box_areas`` and ``box_difficult``; ``box_areas`` stay those of whole objects,
    and ``gt_label`` stays what it was: labels of an image, not of its boxes.

    The number of proposals stays. They are clipped too; those outside become zeros that are not
    valid (``proposal_valid``), with score 0. If none is left, the first is the whole crop, score 1.
    """
    size = results['img'].shape[:2]
    top, left, height, width = window
    inclusive = np.array([left, top, left + width - 1, top + height - 1])
    results['img'] = mmcv.imcrop(results['img'], inclusive)
    results['img_shape'] = results['img'].shape[:2]
    if 'boxes' in results:
        boxes, inside = crop_boxes(results['boxes'], size, window)
        results.update({key: results[key][inside] for key in BOX_FIELDS if key in results})
        results['boxes'] = boxes[inside]
    if 'proposals' in results:
        _keep_proposals(results, *crop_boxes(results['proposals'], size, window))


def _keep_proposals(results: dict, boxes: np.ndarray, inside: np.ndarray) -> None:
    valid = results['proposal_valid'] & inside
    boxes = np.where(valid[:, None], boxes, np.float32(0))
    scores = np.where(valid, results['proposal_scores'], np.float32(0))
    if not valid.any():
        boxes[0], scores[0], valid[0] = (0, 0, 1, 1), 1, True
    results.update(proposals=boxes, proposal_scores=scores, proposal_valid=valid)


@TRANSFORMS.register_module()
class RandomCrop(mmpretrain_t.RandomCrop):
    """mmpretrain's ``RandomCrop`` without padding, with boxes and proposals; see :func:`crop`.

    Args:
        crop_size: (height, width), or a number for both; an image that is smaller in a direction
            keeps its size in it.
    """

    moves_boxes = True

    def __init__(self, crop_size: int | Sequence[int]) -> None:
        super().__init__(crop_size)

    def transform(self, results: dict) -> dict:
        """Crop ``results['img']``."""
        crop(results, Window(*self.rand_crop_params(results['img'])))
        return results


@TRANSFORMS.register_module()
class RandomResizedCrop(mmpretrain_t.RandomResizedCrop):
    """mmpretrain's ``RandomResizedCrop`` with boxes and proposals; see :func:`crop`."""

    moves_boxes = True

    def transform(self, results: dict) -> dict:
        """Crop ``results['img']`` and resize it to ``scale``."""
        crop(results, Window(*self.rand_crop_params(results['img'])))
        results['img'] = mmcv.imresize(
            results['img'],
            tuple(self.scale[::-1]),
            interpolation=self.interpolation,
            backend=self.backend,
        )
        results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class CenterCrop(mmcv_t.CenterCrop):
    """mmcv's ``CenterCrop`` without padding, with boxes and proposals; see :func:`crop`.

    Args:
        crop_size: (width, height), or a number for both; an image that is smaller in a direction
            keeps its size in it.
    """

    moves_boxes = True

    def __init__(self, crop_size: int | tuple[int, int]) -> None:
        super().__init__(crop_size)

    def _crop_img(self, results: dict, bboxes: np.ndarray) -> None:
        height, width = results['img'].shape[:2]
        left, top, right, bottom = (int(value) for value in bboxes)
        right, bottom = min(right, width - 1), min(bottom, height - 1)
        crop(results, Window(top, left, bottom - top + 1, right - left + 1))
