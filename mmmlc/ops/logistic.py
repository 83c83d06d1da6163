"""Logistic regression, one classifier against the rest per class, all classes at once.

N: images, D: channels, C: classes, A: axes, the smaller of N and D.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import is_finite

MOST_STEPS = 500
_HISTORY = 20  # steps that L-BFGS remembers


class LinearMaps(NamedTuple):
    """Linear classifiers: ``features @ weight.T + bias`` are logits (N, C)."""

    weight: Tensor  # (C, D)
    bias: Tensor  # (C,)

    def logits(self, features: Tensor) -> Tensor:
        """Logits (N, C) of features (N, D)."""
        return F.linear(features, self.weight, self.bias)

    def unscaled(self, mean: Tensor, deviation: Tensor) -> LinearMaps:
        """The same classifiers for features that are not yet ``(x - mean) / deviation``."""
        weight = self.weight / deviation
        return LinearMaps(weight, self.bias - weight @ mean)


def fit_logistic(
    features: Tensor,
    targets: Tensor,
    costs: Sequence[float],
    valid: Tensor | None = None,
    tolerance: float = 1e-3,
) -> list[LinearMaps]:
    """Minimise ``|w|^2 / 2 + cost * sum of the cross-entropies`` of every class, for each cost.

    This is the objective of scikit-learn's ``LogisticRegression(C=cost)``, whose bias is free, and
    being strictly convex it has one minimum. The sum over all classes is minimised by one L-BFGS.
    Its coordinates are the principal axes of the features, each divided by the curvature that the
    objective has where all weights are zero; so the first step is Newton's, and a few tens follow.

    Args:
        features: (N, D), best standardised: the same penalty is on every channel.
        targets: (N, C) in 0/1.
        costs: Weights of the data against the penalty, above 0.
        valid: (N, C) bool, the pairs that take part; None for all.
        tolerance: Greatest slope in these coordinates. It bounds the distance to the minimum, in
            units in which the objective's curvature is about 1.

    Returns:
        Classifiers for each cost, in the type of the features. A class whose valid targets are all
        equal gets the weight 0 and the logit of (positives + 1/2) / (images + 1) as its bias.

    Raises:
        ValueError: for costs or a tolerance that are not above 0, or shapes that do not fit.
    """
    _check(features, targets, costs, valid, tolerance)
    valid = torch.ones_like(targets, dtype=torch.bool) if valid is None else valid
    targets = targets.to(features) * valid
    positives, images = targets.sum(0), valid.sum(0)
    rate = (positives + 0.5) / (images + 1)
    both = (positives > 0) & (positives < images)
    curvatures, axes = principal_axes(features)
    data = _Data(features @ axes, targets, (valid & both).to(features), rate, curvatures)
    found = [_minimise(data, cost, tolerance) for cost in costs]
    return [LinearMaps(weight @ axes.T, bias) for weight, bias in found]


def principal_axes(features: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of squares (A,) of features (N, D) along the principal axes (D, A), orthonormal.

    All weights of a penalised linear model of the features lie in the space of the axes.
    """
    if len(features) >= features.shape[1]:
        values, axes = torch.linalg.eigh(features.T @ features)
        return values.clamp(min=0), axes
    basis = torch.linalg.qr(features.T).Q
    inner = features @ basis
    values, axes = torch.linalg.eigh(inner.T @ inner)
    return values.clamp(min=0), basis @ axes


class _Data(NamedTuple):
    inputs: Tensor  # (N, A)
    targets: Tensor  # (N, C)
    weights: Tensor  # (N, C), 0 for pairs that take no part
    rate: Tensor  # (C,) of positives
    curvatures: Tensor  # (A,)


def _minimise(data: _Data, cost: float, tolerance: float) -> LinearMaps:
    """Classifiers of the inputs along the axes; those of equal targets stay where they start."""
    spread = cost * data.rate * (1 - data.rate)
    scale = (1 + spread[:, None] * data.curvatures).rsqrt()
    bias_scale = (spread * len(data.inputs)).rsqrt()
    weight = torch.zeros_like(scale, requires_grad=True)
    bias = (data.rate.logit() / bias_scale).requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MOST_STEPS,
        history_size=_HISTORY,
        tolerance_grad=tolerance,
        tolerance_change=0,
        line_search_fn='strong_wolfe',
    )

    def objective() -> Tensor:
        optimiser.zero_grad()
        scaled = scale * weight
        logits = F.linear(data.inputs, scaled, bias_scale * bias)
        loss = F.binary_cross_entropy_with_logits(
            logits, data.targets, data.weights, reduction='sum'
        )
        total = cost * loss + scaled.square().sum() / 2
        total.backward()
        return total

    with torch.enable_grad():
        optimiser.step(objective)
    return LinearMaps((scale * weight).detach(), (bias_scale * bias).detach())


def _check(
    features: Tensor,
    targets: Tensor,
    costs: Sequence[float],
    valid: Tensor | None,
    tolerance: float,
) -> None:
    for name, values in (('costs', costs), ('tolerance', [tolerance])):
        if not values or not all(is_finite(value) and value > 0 for value in values):
            raise ValueError(f'{name} is {values!r}, expected numbers above 0')
    if features.ndim != 2 or targets.ndim != 2 or len(features) != len(targets):
        raise ValueError(
            f'features {tuple(features.shape)} and targets {tuple(targets.shape)}, expected (N, D) '
            'and (N, C)'
        )
    if not len(features):
        raise ValueError('features are of no image, nothing to train')
    if valid is not None and (valid.shape != targets.shape or valid.dtype != torch.bool):
        raise ValueError(
            f'valid is {valid.dtype} {tuple(valid.shape)}, expected bool {tuple(targets.shape)}'
        )
