"""Numbers of annotation files, in the precision that they are kept in. M: annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmmlc.ops.checks import is_finite

# Pixels: an area of such sides is finite in float32.
LARGEST_SIDE = 1e9
LARGEST_AREA = float(np.finfo(np.float32).max)


def check_areas(ann_file: str, anns: Sequence[dict]) -> None:
    """Raise ValueError naming the first of M annotations whose ``area``, if there is one, is wrong.

    It is kept as float32, in which 1e39 is infinite.
    """
    given = [area for ann in anns if (area := ann.get('area')) is not None]
    plain = set(map(type, given)) <= {int, float} and max(given, default=0) <= LARGEST_AREA
    if plain and (np.array(given, dtype=np.float64) >= 0).all():  # NaN is not
        return
    for ann in anns:
        area = ann.get('area')
        if area is not None and not (is_finite(area) and 0 <= area <= LARGEST_AREA):
            raise ValueError(
                f'{ann_file}: annotation id {ann["id"]} has area={area!r}, expected a finite '
                'number from 0'
            )
