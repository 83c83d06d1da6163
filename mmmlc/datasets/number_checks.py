"""Numbers of annotation files, in the precision that they are kept in. M: annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Pixels: an area of such sides is finite in float32.
LARGEST_SIDE = 1e9


def check_areas(ann_file: str, anns: Sequence[dict], areas: np.ndarray) -> None:
    """Raise ValueError naming the first annotation whose area (M,) is not finite, or negative.

    ``areas`` are float32, in which 1e39 is infinite.
    """
    wrong = np.flatnonzero(~(np.isfinite(areas) & (areas >= 0)))
    if len(wrong):
        ann = anns[wrong[0]]
        raise ValueError(
            f'{ann_file}: annotation id {ann["id"]} has area={ann.get("area")!r}, expected a '
            'finite number from 0'
        )
