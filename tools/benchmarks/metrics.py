"""Average precision of 80 classes on COCO 2014's 40,137 validation images, against scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from sklearn.metrics import average_precision_score

from mmmlc.ops.scores import average_precision

from .timing import median_ratio

IMAGES, CLASSES = 40_137, 80


def make_scores(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores float32 and targets bool, (IMAGES, CLASSES), with COCO's 2.9 labels per image."""
    rng = np.random.default_rng(seed)
    targets = rng.random((IMAGES, CLASSES)) < 2.9 / CLASSES
    logits = rng.normal(size=targets.shape) + 3 * targets - 3
    scores = 1 / (1 + np.exp(-logits))
    return torch.from_numpy(scores.astype(np.float32)), torch.from_numpy(targets)


def sklearn_loop(scores: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """scikit-learn's average precision, one class after the other."""
    columns = zip(targets.numpy().T, scores.numpy().T, strict=True)
    return np.array([average_precision_score(t, s) for t, s in columns])


def run() -> Iterator[dict]:
    """Yield one dict per figure: the median ratio of times in paired runs, and the difference.

    With all scores distinct (nearly) and rounded to two digits, where most are tied.
    """
    distinct, targets = make_scores()
    difference = 0.0
    for name, scores in (('distinct', distinct), ('tied', (distinct * 100).round() / 100)):
        ours = average_precision(scores, targets).numpy()
        difference = max(difference, float(np.abs(ours - sklearn_loop(scores, targets)).max()))
        ratio = median_ratio(
            partial(sklearn_loop, scores, targets), partial(average_precision, scores, targets), 5
        )
        figure = f'metrics.ap_speedup_over_scikit_learn_{name}'
        yield dict(figure=figure, value=ratio, reach='> 1', device='cpu')
    figure = 'metrics.ap_difference_to_scikit_learn'
    yield dict(figure=figure, value=difference, reach='<= 1e-06', device='cpu')
