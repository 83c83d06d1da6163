"""Logistic regressions of all classes at once are those of scikit-learn, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mmmlc.ops.logistic import fit_logistic, principal_axes

C = 4


def make(images: int, channels: int):
    """Features of unequal spread, and labels that depend on them; class 2 is rare."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(images, channels)) * np.linspace(0.2, 3, channels)
    features[:, 0] += 0.7 * features[:, 1]
    logits = features @ rng.normal(size=(channels, C)) + [0, 1, -9, 0]
    logits += rng.logistic(size=logits.shape)
    targets = logits > 0
    targets[:, 2] = logits[:, 2] >= np.sort(logits[:, 2])[-7]
    return torch.from_numpy(features), torch.from_numpy(targets)


def by_scikit_learn(features, target, cost):
    model = LogisticRegression(C=cost, tol=1e-10, max_iter=10_000)
    model.fit(features.numpy(), target.numpy())
    return model.coef_[0], model.intercept_[0]


@pytest.mark.parametrize(('images', 'channels'), [(80, 7), (40, 60)])
def test_equal_to_scikit_learn(images, channels):
    features, targets = make(images, channels)
    costs = (0.003, 0.1, 3.0)
    found = fit_logistic(features, targets, costs, tolerance=1e-7)
    for cost, maps in zip(costs, found, strict=True):
        for c in range(C):
            weight, bias = by_scikit_learn(features, targets[:, c], cost)
            np.testing.assert_allclose(maps.weight[c], weight, atol=2e-4)
            np.testing.assert_allclose(maps.bias[c], bias, atol=2e-3)


def test_the_usual_tolerance_is_close():
    """In float32, as it is used: scores differ by less than what a card shows."""
    features, targets = make(300, 20)
    (exact,) = fit_logistic(features, targets, [0.1], tolerance=1e-8)
    (found,) = fit_logistic(features.float(), targets, [0.1])
    scores = (maps.logits(features.to(maps.bias)).sigmoid().double() for maps in (exact, found))
    torch.testing.assert_close(*scores, atol=1e-3, rtol=0)


def test_pairs_that_are_not_valid_take_no_part():
    features, targets = make(80, 7)
    valid = torch.rand(targets.shape) < 0.7
    (found,) = fit_logistic(features, targets, [0.1], valid, tolerance=1e-7)
    for c in range(C):
        used = valid[:, c]
        weight, bias = by_scikit_learn(features[used], targets[used, c], 0.1)
        np.testing.assert_allclose(found.weight[c], weight, atol=1e-4)
        np.testing.assert_allclose(found.bias[c], bias, atol=1e-3)
    (again,) = fit_logistic(features, targets ^ ~valid, [0.1], valid, tolerance=1e-7)
    torch.testing.assert_close(again, found)


def test_classes_of_one_kind_have_the_rate_alone():
    features, targets = make(30, 5)
    targets[:, 0], targets[:, 3] = False, True
    valid = torch.ones_like(targets)
    valid[:10, 3] = False
    (found,) = fit_logistic(features, targets, [1.0], valid)
    assert not found.weight[[0, 3]].any() and found.weight[[1, 2]].any()
    np.testing.assert_allclose(found.bias[0], np.log(0.5 / 30.5))
    np.testing.assert_allclose(found.bias[3], np.log(20.5 / 0.5))


def test_classifiers_of_unscaled_features():
    features, targets = make(50, 5)
    mean, deviation = features.mean(0), features.std(0)
    scaled = (features - mean) / deviation
    (found,) = fit_logistic(scaled, targets, [0.1])
    logits = found.unscaled(mean, deviation).logits(features)
    torch.testing.assert_close(logits, found.logits(scaled))


@pytest.mark.parametrize('shape', [(12, 5), (5, 12)])
def test_principal_axes(shape):
    features = torch.randn(shape, dtype=torch.float64)
    values, axes = principal_axes(features)
    assert axes.shape == (shape[1], 5)
    torch.testing.assert_close(axes.T @ axes, torch.eye(5).double())
    turned = features @ axes
    torch.testing.assert_close(turned.T @ turned, values.diag())
    torch.testing.assert_close(turned @ axes.T, features)


def test_wrong_input():
    features, targets = torch.zeros(4, 2), torch.zeros(4, 3)
    for costs in ([], [0.0], [float('nan')]):
        with pytest.raises(ValueError, match=r'costs is \[.*\], expected numbers above 0'):
            fit_logistic(features, targets, costs)
    with pytest.raises(ValueError, match=r'tolerance is \[0\]'):
        fit_logistic(features, targets, [1], tolerance=0)
    with pytest.raises(ValueError, match=r'features \(4, 2\) and targets \(3, 3\), expected'):
        fit_logistic(features, targets[1:], [1])
    with pytest.raises(ValueError, match='features are of no image'):
        fit_logistic(features[:0], targets[:0], [1])
    with pytest.raises(ValueError, match=r'valid is torch.float32 \(4, 3\), expected bool'):
        fit_logistic(features, targets, [1], targets)
