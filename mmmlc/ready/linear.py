"""Linear classifiers on features of a frozen network, with what cross-validation says of them.

N: images, V: views of an image (it and its mirror image), D: channels, C: classes, K: folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmmlc.datasets.divide import stratify
from mmmlc.datasets.label_table import Ragged
from mmmlc.ops.logistic import LinearMaps, fit_logistic
from mmmlc.ops.scores import average_precision, best_class_thresholds, best_threshold

#: Candidates of C, for standardised features.
COSTS = (0.0001, 0.0003, 0.001, 0.003, 0.01)
FOLDS = 5
#: A class with fewer positives has no threshold of its own, and its AP says nothing.
FEWEST = 20


class Labels(NamedTuple):
    """What is known of the images."""

    positive: Tensor  # (N, C) bool
    valid: Tensor  # (N, C) bool, False where it is not known

    @property
    def counts(self) -> Tensor:
        """(C,) images with each class."""
        return (self.positive & self.valid).sum(0)

    @property
    def judged(self) -> Tensor:
        """(C,) classes with at least ``FEWEST`` positives; all that have any where none has."""
        enough = self.counts >= FEWEST
        return enough if enough.any() else self.counts > 0

    def take(self, rows: Tensor, views: int = 1) -> Labels:
        """Those of some images, each ``views`` times."""
        return Labels(*(part[rows].repeat_interleave(views, 0) for part in self))


class CrossValidated(NamedTuple):
    """Classifiers of all images, and of each fold those of the other images."""

    final: LinearMaps
    folds: Tensor  # (N,) in which fold an image was left out
    of_folds: list[LinearMaps]  # K
    logits: Tensor  # (N, C) of each image by the classifiers that did not see it
    cost: float
    mean_ap: dict[float, float]  # by cost, in [0, 1]


def divide(labels: Labels, paths: Sequence[str], folds: int = FOLDS, seed: int = 0) -> Tensor:
    """The fold (N,) of each image, so that each fold has its share of every class.

    Raises:
        ValueError: for fewer images than folds.
    """
    if len(paths) < folds:
        raise ValueError(f'{len(paths)} images, expected at least {folds}, as many as folds')
    known = (labels.positive & labels.valid).numpy()
    table = Ragged.from_counts(known.nonzero()[1].astype(np.int32), known.sum(1))
    shares = [1 / folds] * folds
    found = stratify(table, known.shape[1], Ragged.from_strings(paths), shares, seed)
    return torch.from_numpy(found)


def cross_validate(
    features: Tensor,
    labels: Labels,
    folds: Tensor,
    costs: Sequence[float] = COSTS,
    advance: Callable[[], None] = lambda: None,
) -> CrossValidated:
    """Logistic regressions with the cost of the highest mean average precision, for all classes.

    Args:
        features: (N, V, D); the first view is that of a test, training sees them all.
        labels: Of the images.
        folds: (N,) from 0.
        costs: Candidates; the smaller of equals is taken.
        advance: Called after each of K + 1 trainings.

    Raises:
        ValueError: if no image has any class.
    """
    if not labels.counts.any():
        raise ValueError(f'no positive label in {len(features)} images: nothing to train')
    costs, number = sorted(costs), int(folds.max()) + 1
    logits = features.new_zeros(len(costs), *labels.positive.shape)
    found = []
    for fold in range(number):
        left_out = folds == fold
        found.append(train(features, labels, ~left_out, costs))
        for one, maps in zip(logits, found[-1], strict=True):
            one[left_out] = maps.logits(features[left_out, 0])
        advance()
    mean_ap = [mean_average_precision(one, labels) for one in logits]
    best = int(np.argmax(mean_ap))
    everything = torch.ones_like(folds, dtype=torch.bool)
    (final,) = train(features, labels, everything, costs[best : best + 1])
    advance()
    return CrossValidated(
        final,
        folds,
        [maps[best] for maps in found],
        logits[best],
        costs[best],
        dict(zip(costs, mean_ap, strict=True)),
    )


def train(
    features: Tensor, labels: Labels, rows: Tensor, costs: Sequence[float]
) -> list[LinearMaps]:
    """Classifiers of features as they are, for each cost, from some images (N,) bool."""
    inputs = features[rows].flatten(0, 1)
    used = labels.take(rows, features.shape[1])
    mean, deviation = inputs.mean(0), inputs.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1)  # a channel that is always the same
    standardised = (inputs - mean) / deviation
    found = fit_logistic(standardised, used.positive, costs, used.valid)
    return [maps.unscaled(mean, deviation) for maps in found]


def mean_average_precision(scores: Tensor, labels: Labels) -> float:
    """Over the classes with enough positives, in [0, 1]."""
    ap = average_precision(scores, labels.positive, labels.valid)
    return float(ap[labels.judged].mean())


def choose_thresholds(scores: Tensor, labels: Labels) -> Tensor:
    """The threshold (C,) of each class with its highest F1.

    Classes with fewer than ``FEWEST`` positives share one: that with the highest F1 over all
    decisions on the other classes.

    Args:
        scores: (N, C) in [0, 1], of images that the model did not see in its training.
        labels: Of the images.
    """
    own, _ = best_class_thresholds(scores, labels.positive, labels.valid)
    judged = labels.judged
    common, _ = best_threshold(*(part[:, judged] for part in (scores, *labels)))
    return own.where(labels.counts >= FEWEST, common.to(own))
