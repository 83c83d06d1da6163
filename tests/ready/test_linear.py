"""Linear classifiers by cross-validation: against the same by hand with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmmlc.ready.linear import (
    FEWEST,
    Labels,
    choose_thresholds,
    cross_validate,
    divide,
    mean_average_precision,
)

N, D, C = 150, 6, 3
COSTS = (0.001, 0.1)


def make():
    """Two views of an image that differ a little; class 2 is rare."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, 1, D)) * 2 + 1 + 0.2 * rng.normal(size=(N, 2, D))
    logits = (features[:, 0] - 1) @ rng.normal(size=(D, C)) - [0, 1, 6.5]
    positive = logits + rng.logistic(size=logits.shape) > 0
    assert 5 < positive[:, 2].sum() < FEWEST < positive[:, :2].sum(0).min()
    valid = np.ones_like(positive)
    return torch.from_numpy(features), Labels(*map(torch.from_numpy, (positive, valid)))


def paths() -> list[str]:
    return [f'{i}.jpg' for i in range(N)]


def test_folds_have_their_share_of_every_class():
    _, labels = make()
    folds = divide(labels, paths())
    sizes = torch.bincount(folds)
    assert len(sizes) == 5 and sizes.max() - sizes.min() <= 1
    for c in range(C):
        counts = torch.bincount(folds[labels.positive[:, c]], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert torch.equal(divide(labels, paths()), folds)
    assert not torch.equal(divide(labels, paths(), seed=1), folds)
    with pytest.raises(ValueError, match='3 images, expected at least 5, as many as folds'):
        divide(labels.take(torch.arange(3)), paths()[:3])


def by_hand(features, positive, folds, cost):
    """Logits (N, C) of each image by models that saw neither it nor its mirror image."""
    logits = np.zeros(positive.shape)
    for fold in range(5):
        seen, unseen = folds != fold, folds == fold
        inputs = np.concatenate([features[seen, 0], features[seen, 1]])
        for c in range(C):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=cost, tol=1e-9))
            model.fit(inputs, np.tile(positive[seen, c], 2))
            logits[unseen, c] = model.decision_function(features[unseen, 0])
    return logits


def test_cross_validation_equals_scikit_learn():
    features, labels = make()
    folds, ticks = divide(labels, paths()), []
    found = cross_validate(features, labels, folds, COSTS, lambda: ticks.append(1))
    assert len(ticks) == 6
    positive = labels.positive.numpy()
    expected = {c: by_hand(features.numpy(), positive, folds.numpy(), c) for c in COSTS}
    for cost, logits in expected.items():
        # Class 2 is too rare to count.
        ap = [average_precision_score(positive[:, c], logits[:, c]) for c in (0, 1)]
        assert found.mean_ap[cost] == pytest.approx(np.mean(ap), abs=1e-3)
    assert found.cost == max(found.mean_ap, key=found.mean_ap.get)
    np.testing.assert_allclose(found.logits, expected[found.cost], atol=0.02)
    for fold, maps in enumerate(found.of_folds):
        rows = found.folds == fold
        torch.testing.assert_close(maps.logits(features[rows, 0]), found.logits[rows])
    # The final ones see all images, in both views.
    for c in range(C):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=found.cost, tol=1e-9))
        model.fit(features.flatten(0, 1).numpy(), np.repeat(positive[:, c], 2))
        wanted = model.decision_function(features[:, 1].numpy())
        np.testing.assert_allclose(found.final.logits(features[:, 1])[:, c], wanted, atol=0.02)


def test_unknown_pairs_take_no_part():
    features, labels = make()
    valid = torch.rand(N, C) < 0.8
    other = Labels(labels.positive ^ ~valid, valid)
    folds = torch.arange(N) % 5
    one, two = (
        cross_validate(features, Labels(positive, valid), folds, COSTS)
        for positive in (labels.positive, other.positive)
    )
    torch.testing.assert_close(one.logits, two.logits)
    assert one.mean_ap == pytest.approx(two.mean_ap)


def test_classes_and_channels_without_content():
    """A class that no image of some folds has, and a channel that is always the same."""
    features, labels = make()
    features[..., 0] = 3
    labels.positive[:, 2] = False
    labels.positive[7, 2] = True
    found = cross_validate(features, labels, divide(labels, paths()), COSTS)
    assert found.logits.isfinite().all() and found.final.weight.isfinite().all()
    # Where its one image was left out, class 2 is what it is for everybody: rare.
    assert found.logits[7, 2].sigmoid() < 0.01
    labels.positive[:] = False
    with pytest.raises(ValueError, match='no positive label in 150 images'):
        cross_validate(features, labels, torch.arange(N) % 5)


def test_thresholds_have_the_highest_f1():
    _, labels = make()
    scores = (torch.rand(N, C) + labels.positive).mul(0.5)
    found = choose_thresholds(scores, labels)
    for c in (0, 1):
        f1 = [f1_score(labels.positive[:, c], scores[:, c] >= t) for t in scores[:, c]]
        own = f1_score(labels.positive[:, c], scores[:, c] >= found[c])
        assert own == pytest.approx(max(f1))
    # The rare class has that of the highest F1 of both others together.
    pooled, truth = scores[:, :2].flatten(), labels.positive[:, :2].flatten()
    f1 = [f1_score(truth, pooled >= t) for t in pooled]
    assert f1_score(truth, pooled >= found[2]) == pytest.approx(max(f1))
    assert found[2] not in scores[:, 2]


def test_all_classes_are_rare():
    """Then those that have positives share the threshold, and the mean is over them."""
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.3]])
    positive = torch.tensor([[True, False], [True, False], [False, False]])
    labels = Labels(positive, torch.ones_like(positive))
    torch.testing.assert_close(choose_thresholds(scores, labels), torch.tensor([0.8, 0.8]))
    assert mean_average_precision(scores, labels) == 1
