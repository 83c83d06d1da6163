"""Record what mmcv's compiled operators make of random cases, for test_mmcv_ops.py.

bash tools/install.sh --full
python tests/project/record_mmcv_ops.py
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
from helpers.places import DATA  # noqa: E402 - found through the path above
from test_mmcv_ops import random_boxes, random_case, run_roi_align  # noqa: E402 - as well

import mmmlc.mmcv_ops as ours  # noqa: E402 - as well

ROI_CASES, NMS_CASES = 12, 40


def main() -> None:
    """Write the file."""
    if not ours.operators_are_compiled():
        sys.exit('mmcv has no compiled operators here: bash tools/install.sh --full')
    random, found = np.random.default_rng(3), {}
    for i in range(ROI_CASES):
        options = ((1.0, 0.5, 0.25, 1 / 16)[i % 4], i % 3, i % 5 < 3)
        case = [x.astype(np.float32) for x in random_case(random, options[0])]
        pooled, back = run_roi_align(*case, *options[:2], 'avg', options[2])
        values = (*case, np.array(options, np.float64), pooled, back)
        names = ('maps', 'rois', 'gradient', 'options', 'pooled', 'back')
        for name, value in zip(names, values, strict=True):
            kind = np.float64 if name == 'options' else np.float32
            found[f'roi_align_{i}_{name}'] = value.astype(kind)
    extension = importlib.import_module(ours.EXTENSION)
    for i in range(NMS_CASES):
        count = int(random.integers(0, 120))
        boxes = random_boxes(random, count, 100).astype(np.float32)
        scores = (random.permutation(count) / max(count, 1)).astype(np.float32)
        threshold, offset = float(random.uniform()), i % 2
        kept = extension.nms(
            torch.tensor(boxes), torch.tensor(scores), iou_threshold=threshold, offset=offset
        )
        values = (boxes, scores, np.array([threshold, offset]), kept.numpy().astype(np.int16))
        for name, value in zip(('boxes', 'scores', 'options', 'kept'), values, strict=True):
            found[f'nms_{i}_{name}'] = value
    counts = dict(roi_align_cases=ROI_CASES, nms_cases=NMS_CASES)
    np.savez_compressed(DATA / 'mmcv_operators.npz', **counts, **found)


if __name__ == '__main__':
    main()
