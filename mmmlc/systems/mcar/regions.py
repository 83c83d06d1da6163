"""Attentional regions of MCAR: from class maps to boxes to crops (Gao and Zhou, TIP 2021, III-B).

All functions are batched tensor code without a host synchronisation.
B: images, C: classes, N: regions per image, n: profile length,
(h, w): map size, (H, W): image size.
Boxes are (x1, y1, x2, y2) in pixels, integers, half-open: the crop is ``image[:, y1:y2, x1:x2]``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmmlc.ops.checks import check_choice

RULES = ('authors', 'paper')
SELECTIONS = ('top', 'bottom', 'random')


def select_classes(scores: Tensor, topn: int, selection: str = 'top') -> Tensor:
    """Choose the classes whose maps become regions (Section III-B.2 and Table V).

    Args:
        scores: (B, C) scores or logits of the global stream.
        topn: Number of classes; clamped to C.
        selection: ``'top'`` or ``'bottom'`` scores, ties to the lower class index, or ``'random'``.

    Returns:
        (B, N) class indices, N = min(topn, C).

    Examples:
        >>> select_classes(torch.tensor([[0.1, 0.9, 0.5]]), 2)
        tensor([[1, 2]])
    """
    check_choice('selection', selection, SELECTIONS)
    if selection == 'random':
        scores = torch.rand_like(scores, dtype=torch.float32)
    order = scores.argsort(dim=-1, descending=selection != 'bottom', stable=True)
    return order[..., :topn]


def peak_intervals(
    profiles: Tensor, tau: float | Tensor = 0.5, rule: str = 'authors'
) -> tuple[Tensor, Tensor]:
    """Find in each profile the interval above ``tau`` that holds the global maximum (Eq. 7).

    Of several such intervals the widest is taken, then the leftmost.

    Args:
        profiles: (..., n) values, min-max normalised to [0, 1].
        tau: Threshold in [0, 1), a number or a tensor that broadcasts to (..., 1).
        rule: ``'authors'`` reproduces the released code bit by bit, so that its checkpoints mean
            the same: intervals start one pixel left of the first value above ``tau`` and end one
            short of the last, at least about n / 8 wide; with no crossing it is the middle three
            quarters. ``'paper'`` is Eq. 7 as printed: the run of values ``>= tau``; where nothing
            reaches ``tau``, the whole profile.

    Returns:
        Start and end, (...) int64 each, half-open.

    Raises:
        ValueError: for another rule, an empty profile or a number ``tau`` outside [0, 1).

    Examples:
        >>> peak_intervals(torch.tensor([0.0, 0.2, 0.9, 1.0, 0.6, 0.1]), 0.5, 'paper')
        (tensor(2), tensor(5))
    """
    check_choice('rule', rule, RULES)
    if isinstance(tau, (int, float)) and not 0 <= tau < 1:
        raise ValueError(f'tau is {tau}, expected a threshold in [0, 1)')
    if profiles.ndim == 0 or profiles.shape[-1] == 0:
        raise ValueError(
            f'profiles have shape {tuple(profiles.shape)}, expected (..., n) with n > 0'
        )
    if rule == 'paper':
        return _paper_intervals(profiles, tau)
    return _authors_intervals(profiles, tau)


def _runs(is_start: Tensor) -> tuple[Tensor, Tensor]:
    """Start and end of the run each pixel belongs to; a run begins where ``is_start`` is set."""
    n = is_start.shape[-1]
    index = torch.arange(n, device=is_start.device)
    start = index.where(is_start, 0).cummax(-1).values
    next_start = F.pad(index.where(is_start, n)[..., 1:], (0, 1), value=n)
    end = next_start.flip(-1).cummin(-1).values.flip(-1)
    return start, end


def _widest(candidate: Tensor, start: Tensor, end: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """The widest run with a candidate pixel; ties to the higher rank (0 to 2), then leftmost."""
    n = candidate.shape[-1]
    key = ((end - start) * 3 + rank) * (n + 1) + n - start
    winner = key.where(candidate, -1).argmax(-1, keepdim=True)
    return start.gather(-1, winner).squeeze(-1), end.gather(-1, winner).squeeze(-1)


def _paper_intervals(profiles: Tensor, tau: float | Tensor) -> tuple[Tensor, Tensor]:
    above = profiles >= tau
    # Where nothing reaches tau there is no edge either, so the only run is the whole profile.
    edges = above[..., 1:] != above[..., :-1]
    start, end = _runs(F.pad(edges, (1, 0)))
    peak = profiles == profiles.amax(-1, keepdim=True)
    return _widest(peak, start, end, torch.zeros_like(start))


def _authors_intervals(profiles: Tensor, tau: float | Tensor) -> tuple[Tensor, Tensor]:
    n = profiles.shape[-1]
    minimum = -(-n // 8)
    sign = (profiles - tau).sign()
    # The crossing between i and i + 1 cuts before i, not before i + 1; a value equal to tau has
    # sign 0 and hides its crossing.
    crossing = F.pad((sign[..., 1:] - sign[..., :-1]).abs() == 2, (0, 1))
    start, end = _runs(crossing)
    first = (start == 0) & ~crossing[..., :1]
    last = end == n
    # The released code visits the first segment, the last, then the rest from left to right.
    rank = torch.where(first, 2, last.long())
    peak = profiles == profiles.amax(-1, keepdim=True)
    a, b = _widest(peak, start, end, rank)
    a, b = _grow(a, b, n, minimum)
    crossed = crossing.any(-1)
    return torch.where(crossed, a, minimum), torch.where(crossed, b, -(-7 * n // 8))


def _grow(a: Tensor, b: Tensor, n: int, minimum: int) -> tuple[Tensor, Tensor]:
    """Widen intervals of at most ``minimum`` pixels: three tests, each on the updated ends."""
    pad = minimum - (b - a)
    small = pad >= 0
    half = (pad + 1) // 2
    inside = small & (a > half) & (n - b > pad)
    a, b = torch.where(inside, a - half + 1, a), torch.where(inside, b + half, b)
    left = small & (a < half)
    a, b = torch.where(left, 0, a), torch.where(left, minimum, b)
    right = small & (n - b < half)
    return torch.where(right, n - minimum + 1, a), torch.where(right, n, b)


def normalise_profiles(profiles: Tensor) -> Tensor:
    """Min-max normalise (..., n) profiles to [0, 1] (Eq. 6); a constant profile becomes all 1."""
    low, high = profiles.amin(-1, keepdim=True), profiles.amax(-1, keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (profiles - low) / spread, 1.0)


def attention_boxes(
    maps: Tensor, size: tuple[int, int], tau: float = 0.5, rule: str = 'authors'
) -> Tensor:
    """Localise one box per class map (Eq. 5-7).

    Args:
        maps: (B, N, h, w) sigmoid scores of the selected class maps.
        size: (H, W) of the image the boxes refer to.
        tau: Threshold of the normalised marginals, in [0, 1).
        rule: See :func:`peak_intervals`.

    Returns:
        (B, N, 4) int64 boxes x1, y1, x2, y2.
    """
    # Marginals in float32 under AMP as well: half precision makes plateaus, hence other boxes.
    maps = F.interpolate(maps.float(), size, mode='bilinear', align_corners=True)
    x1, x2 = peak_intervals(normalise_profiles(maps.amax(-2)), tau, rule)
    y1, y2 = peak_intervals(normalise_profiles(maps.amax(-1)), tau, rule)
    return torch.stack((x1, y1, x2, y2), dim=-1)


def resize_images(images: Tensor, scale: float) -> Tensor:
    """Images (B, 3, H, W) at a fraction of their size, antialiased; as they are at 1."""
    if scale == 1:
        return images
    size = [max(1, round(side * scale)) for side in images.shape[-2:]]
    return F.interpolate(images, size, mode='bilinear', antialias=True)


def crop_regions(images: Tensor, boxes: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Crop every box from its image and resize it bilinearly (``align_corners=True``).

    All crops of the batch together, first rows, then columns, without repeating the images.

    Args:
        images: (B, 3, H, W).
        boxes: (B, N, 4) x1, y1, x2, y2, half-open pixels inside the image.
        size: Output size; the images' own by default.

    Returns:
        (B, N, 3, *size) crops.
    """
    B, channels, H, W = images.shape
    out_h, out_w = size or (H, W)
    x1, y1, x2, y2 = boxes.unbind(-1)
    top, bottom, y_weight = _taps(y1, y2, out_h, images.dtype)
    left, right, x_weight = _taps(x1, x2, out_w, images.dtype)
    planes = torch.arange(B * channels, device=images.device).view(B, 1, channels, 1) * H
    rows = images.reshape(-1, W)
    crops = rows[planes + top[:, :, None]]
    crops.lerp_(rows[planes + bottom[:, :, None]], y_weight[:, :, None, :, None])
    shape = (*crops.shape[:-1], out_w)
    left, right = (x[:, :, None, None].expand(shape) for x in (left, right))
    return crops.gather(-1, left).lerp_(crops.gather(-1, right), x_weight[:, :, None, None])


def _taps(
    low: Tensor, high: Tensor, count: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Two pixels and the weight of the second for ``count`` points over [low, high).

    The fraction is computed within the box, in float32, as the authors' per-box resizing does:
    absolute coordinates (``grid_sample``) round differently, which moves scores by up to 1e-3.
    """
    steps = torch.arange(count, device=low.device)
    points = ((high - low - 1).float() / max(count - 1, 1))[..., None] * steps
    whole = points.floor()
    first = low[..., None] + whole.long()
    # Rounding may put the last point past the last pixel.
    first, second = (torch.minimum(x, high[..., None] - 1) for x in (first, first + 1))
    return first, second, (points - whole).to(dtype)
