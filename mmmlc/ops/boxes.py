"""Every change of coordinates of boxes: fractions, pixels, flips, crops, views, and the way back.

N: boxes, V: views of an image. A box is x1, y1, x2, y2 with x2 - x1 as its width. *Fractions* are
of the image's width and height, so that a resize of the whole image leaves them as they are. A
size is height, width, as the shape of an image: two numbers, or (..., 2) for sizes that differ
from box to box. All functions take NumPy arrays as well as tensors, and return what they took.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from mmengine.structures import BaseDataElement

Boxes = TypeVar('Boxes', Tensor, np.ndarray)
Size = Sequence[float] | Tensor | np.ndarray
DIRECTIONS = ('horizontal', 'vertical', 'diagonal')
# A box that reaches into a window by less than this is outside: rounding of fractions in 32 bits.
LEAST_PIXELS = 0.05


class Window(NamedTuple):
    """Part of an image in whole pixels, inside it."""

    top: int
    left: int
    height: int
    width: int


def image_size(images: Tensor) -> tuple[int, int]:
    """Height and width of images or maps (..., H, W)."""
    height, width = images.shape[-2:]
    return height, width


def to_pixels(fractions: Boxes, size: Size) -> Boxes:
    """Boxes (..., 4) in pixels of an image of ``size``.

    Examples:
        >>> to_pixels(np.array([[0.25, 0.5, 1.0, 1.0]]), (100, 200)).tolist()
        [[50.0, 50.0, 200.0, 100.0]]
    """
    return fractions * _sides(fractions, size)


def to_fractions(pixels: Boxes, size: Size) -> Boxes:
    """Boxes (..., 4) as fractions of an image of ``size``.

    Examples:
        >>> to_fractions(torch.tensor([50.0, 50.0, 200.0, 100.0]), (100, 200)).tolist()
        [0.25, 0.5, 1.0, 1.0]
    """
    return pixels / _sides(pixels, size)


def resize_boxes(boxes: Boxes, size: Size, new_size: Size) -> Boxes:
    """Boxes (..., 4) in pixels of an image that is resized from ``size`` to ``new_size``.

    By way of fractions, boxes would be off by a rounding even where the size stays.

    Examples:
        >>> resize_boxes(np.array([[10.0, 10, 30, 20]]), (50, 100), (100, 100)).tolist()
        [[10.0, 20.0, 30.0, 40.0]]
    """
    return boxes * (_sides(boxes, new_size) / _sides(boxes, size))


def from_xywh(boxes: Boxes) -> Boxes:
    """Boxes (..., 4) given as x, y, width, height (COCO, OpenCV).

    Examples:
        >>> from_xywh(np.array([10, 20, 5, 4])).tolist()
        [10, 20, 15, 24]
    """
    x, y, width, height = _columns(boxes)
    return _joined(x, y, x + width, y + height)


def from_voc(boxes: Boxes) -> Boxes:
    """Boxes (..., 4) given as xmin, ymin, xmax, ymax of Pascal VOC.

    VOC counts pixels from 1, and both ends belong to the box.

    Examples:
        >>> from_voc(np.array([1, 1, 10, 20])).tolist()
        [0, 0, 10, 20]
    """
    x1, y1, x2, y2 = _columns(boxes)
    return _joined(x1 - 1, y1 - 1, x2, y2)


def clip_boxes(boxes: Boxes, size: Size = (1, 1)) -> Boxes:
    """Boxes (..., 4) in pixels cut at the edges of an image; without a size those in fractions.

    Examples:
        >>> clip_boxes(torch.tensor([-1.0, 2.0, 9.0, 30.0]), (20, 8)).tolist()
        [0.0, 2.0, 8.0, 20.0]
    """
    sides = _sides(boxes, size)
    if isinstance(boxes, Tensor):
        return torch.minimum(boxes.clamp(min=0), sides)
    return np.clip(boxes, 0, sides)


def flip_boxes(boxes: Boxes, direction: str | None, size: Size = (1, 1)) -> Boxes:
    """Mirror boxes (..., 4) in pixels with their image; without a size those in fractions.

    Args:
        boxes: Of the image before.
        direction: ``'horizontal'``, ``'vertical'``, ``'diagonal'`` (both); None leaves them.
        size: Of the image.

    Raises:
        ValueError: for another direction.

    Examples:
        >>> flip_boxes(np.array([[0.0, 10, 30, 20]]), 'horizontal', (100, 200)).tolist()
        [[170.0, 10.0, 200.0, 20.0]]
    """
    if direction is None:
        return boxes
    if direction not in DIRECTIONS:
        raise ValueError(f'direction is {direction!r}, expected one of {DIRECTIONS} or None')
    x1, y1, x2, y2 = _columns(boxes)
    width, height = _columns(_sides(boxes, size))[:2]
    if direction != 'vertical':
        x1, x2 = width - x2, width - x1
    if direction != 'horizontal':
        y1, y2 = height - y2, height - y1
    return _joined(x1, y1, x2, y2)


def crop_boxes(fractions: Boxes, size: Size, window: Window) -> tuple[Boxes, Boxes]:
    """Boxes in a window that is cut out of an image.

    Args:
        fractions: (N, 4) of the image.
        size: Of the image.
        window: To be cut out.

    Returns:
        Boxes (N, 4) as fractions of the window, clipped to it, and which of them (N,) bool reach
        into it.

    Examples:
        >>> box = np.array([[0.0, 0.0, 0.5, 1.0], [0.9, 0.0, 1.0, 1.0]])
        >>> boxes, inside = crop_boxes(box, (10, 20), Window(0, 5, 10, 10))
        >>> boxes[0].tolist(), inside.tolist()
        ([0.0, 0.0, 0.5, 1.0], [True, False])
    """
    pixels = to_pixels(fractions, size)
    start = _sides(pixels, (window.top, window.left))
    shape = (window.height, window.width)
    moved, sides = pixels - start, _sides(pixels, shape)
    starts_before = moved[..., :2] < sides[..., :2] - LEAST_PIXELS
    ends_after = moved[..., 2:] > LEAST_PIXELS
    inside = starts_before.all(-1) & ends_after.all(-1)
    return clip_boxes(to_fractions(moved, shape)), inside


def boxes_from_views(boxes: Tensor, views: Tensor, mirrored: Tensor) -> Tensor:
    """Map boxes in pixels of their views to pixels of the image.

    Args:
        boxes: (..., V, N, 4) x1, y1, x2, y2.
        views: (V, 4) the views' boxes in the image, at the scale of ``boxes``.
        mirrored: (V,) bool; in these views x runs from right to left.

    Returns:
        Boxes of the same shape.

    Examples:
        >>> view = torch.tensor([[10.0, 20.0, 50.0, 60.0]])
        >>> boxes_from_views(torch.tensor([[[0.0, 0.0, 5.0, 8.0]]]), view, torch.tensor([True]))
        tensor([[[45., 20., 50., 28.]]])
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    left, top, right, _ = views[:, None].unbind(-1)
    flip = mirrored[:, None]
    start, end = torch.where(flip, right - x2, left + x1), torch.where(flip, right - x1, left + x2)
    return torch.stack((start, top + y1, end, top + y2), dim=-1)


def original_boxes(boxes: Tensor, sample: BaseDataElement) -> Tensor | None:
    """Map boxes of the network's input back to the original image.

    Args:
        boxes: (N, 4) in pixels of the network's input, which may be padded to the right and below.
        sample: With ``ori_shape`` and ``img_shape``, and optionally ``scale_factor``, ``flip`` and
            ``flip_direction`` as mmcv's transforms write them.

    Returns:
        (N, 4) float32 in pixels of the original image, inside it; None when the sample's records
        don't determine the mapping (no shapes, or a crop was taken: crops leave no record).
    """
    if 'ori_shape' not in sample or 'img_shape' not in sample:
        return None
    (ori_h, ori_w), shape = sample.ori_shape[:2], sample.img_shape[:2]
    scale_w, scale_h = sample.get('scale_factor', (1.0, 1.0))
    # Resizing rounds to whole pixels; anything beyond that is a crop or a padding.
    if abs(ori_w * scale_w - shape[1]) > 1 or abs(ori_h * scale_h - shape[0]) > 1:
        return None
    boxes = flip_boxes(boxes.float(), flip_direction(sample), shape)
    return to_pixels(clip_boxes(to_fractions(boxes, shape)), (ori_h, ori_w))


def flip_direction(sample: BaseDataElement | dict) -> str | None:
    """How the pipeline mirrored an image; None if it did not."""
    return sample.get('flip_direction') if sample.get('flip') else None


def _columns(boxes: Boxes) -> tuple[Boxes, Boxes, Boxes, Boxes]:
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def _joined(*columns: Boxes) -> Boxes:
    if isinstance(columns[0], Tensor):
        return torch.stack(torch.broadcast_tensors(*columns), dim=-1)
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _sides(boxes: Boxes, size: Size) -> Boxes:
    """Width, height, width, height (..., 4), of the boxes' kind and type."""
    if isinstance(boxes, Tensor):
        size = torch.as_tensor(size, dtype=boxes.dtype, device=boxes.device)
        return torch.cat((size.flip(-1), size.flip(-1)), dim=-1)
    size = np.asarray(size, dtype=np.result_type(boxes, np.float32))
    return np.concatenate((size[..., ::-1], size[..., ::-1]), axis=-1)
