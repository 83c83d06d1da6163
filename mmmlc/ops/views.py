"""Views of an image for testing: corners and centre, cut from images or from feature maps (RDAL).

B: images, V: views (five, or ten with their mirror images), D: channels, N: boxes per view,
(h, w): map size in cells, (H, W): image size in pixels. A map as large as its image is an image.
"""

from __future__ import annotations

import torch
from torch import Tensor

Window = tuple[int, int, int, int]


def view_windows(cells: tuple[int, int], pixels: tuple[int, int], margin: int) -> list[Window]:
    """Windows of the four corners and of the centre (RDAL, Section 5.1).

    A view is ``margin`` pixels smaller than the image on both axes, and covers the nearest whole
    number of cells: of 512 pixels and 32 cells, a margin of 64 leaves 448 pixels and 28 cells.

    Args:
        cells: (h, w) of the map to cut.
        pixels: (H, W) of the image.
        margin: In pixels.

    Returns:
        Five windows x1, y1, x2, y2 in cells, ends exclusive: top left, top right, bottom left,
        bottom right, centre (rounded to the top left).

    Raises:
        ValueError: if the margin leaves nothing of the image.

    Examples:
        >>> view_windows((32, 32), (512, 512), 64)[3:]
        [(4, 4, 32, 32), (2, 2, 30, 30)]
    """
    if not 0 <= margin < min(pixels):
        raise ValueError(
            f'margin is {margin}, expected 0 to {min(pixels) - 1} for images of '
            f'{pixels[0]} x {pixels[1]} pixels'
        )
    height, width = (
        max(1, round(n * (size - margin) / size)) for n, size in zip(cells, pixels, strict=True)
    )
    bottom, right = cells[0] - height, cells[1] - width
    corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), (right // 2, bottom // 2)]
    return [(x, y, x + width, y + height) for x, y in corners]


def cut_windows(maps: Tensor, windows: list[Window]) -> Tensor:
    """Cut windows of one size out of maps (B, D, h, w); returns (B, V, D, height, width)."""
    return torch.stack([maps[..., y1:y2, x1:x2] for x1, y1, x2, y2 in windows], dim=1)


def cut_ten(maps: Tensor, windows: list[Window], mirrored: Tensor | None = None) -> Tensor:
    """Cut five windows, then the mirror images of the same five.

    Args:
        maps: (B, D, h, w).
        windows: Of :func:`view_windows`.
        mirrored: The map of the mirrored images, (B, D, h, w). By default ``maps`` mirrored: the
            same for images, an approximation for feature maps, whose filters are not symmetric.

    Returns:
        (B, 10, D, height, width); view v + 5 is the mirror image of view v.
    """
    # The windows are given in the image as it is, so mirror back, cut, and mirror the cuts.
    back = maps if mirrored is None else mirrored.flip(-1)
    return torch.cat((cut_windows(maps, windows), cut_windows(back, windows).flip(-1)), dim=1)


def window_boxes(windows: list[Window], cells: tuple[int, int], pixels: tuple[int, int]) -> Tensor:
    """Boxes (V, 4) x1, y1, x2, y2 of windows, in pixels of the image."""
    stride = torch.tensor([pixels[1] / cells[1], pixels[0] / cells[0]]).repeat(2)
    return torch.tensor(windows, dtype=torch.float32) * stride
