"""Views of a batch of images as batches for a network, see :class:`mmmlc.models.TenViews`.

B: images, V: views of a run, D: channels, (H, W): size of the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmmlc.ops.boxes import image_size
from mmmlc.ops.views import cut_ten, cut_windows, view_windows, window_boxes

FIVE = 5


class ViewBatch(NamedTuple):
    """What the network runs on at once: V views of each of the B images."""

    inputs: Tensor | tuple[Tensor, ...]  # (B * V, ...), images or the maps of the backbone
    boxes: Tensor  # (V, 4) of the views, in pixels of the images
    mirrored: Tensor  # (V,) bool
    scale: tuple[int, int]  # (H, W) of the images
    view: tuple[int, int]  # (height, width) of a view in pixels

    @property
    def num_inputs(self) -> int:
        """B * V."""
        return len(self.inputs if isinstance(self.inputs, Tensor) else self.inputs[-1])


def cut_images(images: Tensor, margin: int, mirror: bool = True) -> Iterator[ViewBatch]:
    """One view of all images at a time: ten at once would take ten times the memory.

    Args:
        images: (B, 3, H, W).
        margin: In pixels, see :func:`mmmlc.ops.views.view_windows`.
        mirror: Whether to go on with the mirror images, in the order of
            :func:`mmmlc.ops.views.cut_ten`.
    """
    size = image_size(images)
    view_size = (size[0] - margin, size[1] - margin)
    for mirrored in (False, True) if mirror else (False,):
        flags = torch.tensor([mirrored], device=images.device)
        for window in view_windows(size, size, margin):
            box = torch.tensor([window], dtype=torch.float32, device=images.device)
            (view,) = cut_windows(images, [window]).unbind(1)
            yield ViewBatch(view.flip(-1) if mirrored else view, box, flags, size, view_size)


def cut_maps(
    maps: Sequence[Tensor],
    size: tuple[int, int],
    margin: int,
    mirror: bool = True,
    mirrored: Sequence[Tensor] | None = None,
) -> ViewBatch:
    """All views of feature maps in one batch.

    Args:
        maps: Each (B, D, h, w). Where they round a view differently, the last one gives its box.
        size: (H, W).
        margin: In pixels of the images.
        mirror: Whether to take the mirror images, too.
        mirrored: Maps of the mirrored images; by default ``maps`` mirrored.
    """
    inputs = []
    others: Sequence[Tensor | None] = mirrored or [None] * len(maps)
    for level, other in zip(maps, others, strict=True):
        windows = view_windows(image_size(level), size, margin)
        views = cut_ten(level, windows, other) if mirror else cut_windows(level, windows)
        inputs.append(views.flatten(0, 1))
    boxes = window_boxes(windows, image_size(maps[-1]), size)
    x1, y1, x2, y2 = boxes[0].tolist()
    flags = torch.arange(2 * FIVE if mirror else FIVE, device=maps[-1].device) >= FIVE
    boxes = boxes.repeat(len(flags) // FIVE, 1).to(maps[-1].device)
    return ViewBatch(tuple(inputs), boxes, flags, size, (round(y2 - y1), round(x2 - x1)))


def check_maps(levels: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The outputs of a backbone as a tuple; ValueError unless all are maps (B, D, h, w)."""
    levels = (levels,) if isinstance(levels, Tensor) else tuple(levels)
    for level in levels:
        if not isinstance(level, Tensor) or level.ndim != 4:
            shape = tuple(level.shape) if isinstance(level, Tensor) else type(level).__name__
            raise ValueError(
                f"the backbone returns {shape}, views are cut from maps (B, D, h, w): model.mode='"
                "images', or, for a transformer, model.backbone.out_type='featmap'"
            )
    return levels
