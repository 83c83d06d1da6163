"""Naive references for MCAR's regions: one profile, one map, one box at a time."""

from __future__ import annotations

import math

import numpy as np
import torch.nn.functional as F
from torch import Tensor


def authors_interval(profile: np.ndarray, tau: float) -> tuple[int, int]:
    """The released code's rule, as its description reads, for one profile."""
    n = len(profile)
    m = math.ceil(n / 8)
    sign = np.sign(profile - np.float32(tau))
    cuts = [i for i in range(n - 1) if abs(sign[i + 1] - sign[i]) == 2]
    if not cuts:
        return m, math.ceil(7 * n / 8)
    segments = [(0, cuts[0])] if cuts[0] > 0 else []
    segments.append((cuts[-1], n))
    segments += list(zip(cuts[:-1], cuts[1:], strict=True))
    best = segments[0]
    for a, b in segments[1:]:
        new, old = profile[a:b].max(), profile[best[0] : best[1]].max()
        if new > old or (new == old and b - a > best[1] - best[0]):
            best = (a, b)
    a, b = best
    if b - a <= m:
        pad = m - (b - a)
        half = math.ceil(pad / 2)
        if a > half and n - b > pad:
            a, b = a - (half - 1), b + half
        if a < half:
            a, b = 0, m
        if n - b < half:
            a, b = n - m + 1, n
    return a, b


def paper_interval(profile: np.ndarray, tau: float) -> tuple[int, int]:
    """Eq. 7: of the runs of values >= tau that hold the maximum, the widest, then the leftmost."""
    above = [i for i, value in enumerate(profile) if value >= np.float32(tau)]
    if not above:
        return 0, len(profile)
    runs, start = [], above[0]
    for previous, current in zip(above, above[1:] + [None], strict=True):
        if current != previous + 1:
            runs.append((start, previous + 1))
            start = current
    with_peak = [(a, b) for a, b in runs if profile[a:b].max() == profile.max()]
    return max(with_peak, key=lambda run: (run[1] - run[0], -run[0]))


INTERVALS = {'authors': authors_interval, 'paper': paper_interval}


def box_of_map(class_map: Tensor, size: tuple[int, int], tau: float, rule: str) -> list[int]:
    """Box x1, y1, x2, y2 of one map (h, w), by way of the full-size map."""
    full = F.interpolate(class_map[None, None], size, mode='bilinear', align_corners=True)[0, 0]
    ends = []
    for axis in (0, 1):
        profile = full.numpy().max(axis)
        low, high = profile.min(), profile.max()
        profile = (profile - low) / (high - low) if high > low else np.ones_like(profile)
        ends.append(INTERVALS[rule](profile, tau))
    (x1, x2), (y1, y2) = ends
    return [x1, y1, x2, y2]


def crop_and_resize(image: Tensor, box: list[int], size: tuple[int, int]) -> Tensor:
    """One crop of one image (3, H, W), resized by torch's own interpolation."""
    x1, y1, x2, y2 = box
    crop = image[None, :, y1:y2, x1:x2]
    return F.interpolate(crop, size, mode='bilinear', align_corners=True)[0]
