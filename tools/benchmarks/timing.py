"""Paired timings: two functions in turn, and the median of their ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call, the GPU's work included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def median_ratio(
    numerator: Callable[[], object], denominator: Callable[[], object], repeats: int = 7
) -> float:
    """Median of numerator / denominator over pairs run back to back, after a warm-up."""
    numerator(), denominator()
    ratios = [seconds(numerator) / seconds(denominator) for _ in range(repeats)]
    return round(statistics.median(ratios), 3)
