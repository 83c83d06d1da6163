"""Part detectors against naive NumPy and values derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmmlc.systems.msdpd.parts import (
    confident_locations,
    initial_detectors,
    part_loss,
    part_probabilities,
    rank_clusters,
    sample_locations,
)


def test_probabilities_against_numpy():
    features, weight, bias = torch.randn(2, 4, 6), torch.randn(5, 4), torch.randn(5)
    for image in range(2):
        for location in range(6):
            x = features[image, :, location].numpy().astype(np.float64)
            scores = np.exp(weight.numpy() @ x + bias.numpy())
            found = part_probabilities(features, weight, bias)[image, :, location]
            np.testing.assert_allclose(found, scores / scores.sum(), rtol=1e-5)


def test_unused_detectors_have_no_probability():
    features, weight, bias = torch.randn(2, 4, 6), torch.randn(5, 4), torch.randn(5)
    used = torch.tensor([True, False, True, True, False])
    found = part_probabilities(features, weight, bias, used)
    assert (found[:, ~used] == 0).all()
    expected = part_probabilities(features, weight[used], bias[used])
    torch.testing.assert_close(found[:, used], expected)


def test_sampled_locations():
    features = torch.randn(3, 4, 10)
    points, locations = sample_locations(features, 6, torch.Generator().manual_seed(0))
    assert points.shape == (3, 6, 4)
    for image in range(3):
        assert len(set(locations[image].tolist())) == 6
        torch.testing.assert_close(points[image], features[image, :, locations[image]].T)
    assert sample_locations(features, 99)[0].shape == (3, 10, 4)


def test_entropy_by_hand():
    # Cluster 0: one class. 1: two classes evenly. 2: no label. 3: shares 3/4 and 1/4. 4: empty.
    assignments = torch.tensor([0, 0, 1, 1, 2, 3, 3, 3])
    labels = torch.tensor(
        [[1, 0], [1, 0], [1, 0], [0, 1], [0, 0], [1, 0], [1, 1], [1, 0]], dtype=torch.uint8
    )
    ranking = rank_clusters(assignments, labels, clusters=5, keep=5)
    three_quarters = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = [0.0, math.log(2), math.inf, three_quarters, math.inf]
    np.testing.assert_allclose(ranking.entropy, expected)
    assert ranking.order.tolist() == [0, 3, 1, 2]  # the empty one is not large enough
    assert ranking.sizes.tolist() == [2, 2, 1, 3, 0]
    np.testing.assert_allclose(ranking.shares[3], [0.75, 0.25])


def test_small_clusters_are_dropped():
    assignments, labels = torch.tensor([0, 1, 1, 2, 2, 2]), torch.ones(6, 1)
    assert rank_clusters(assignments, labels, 3, keep=5, min_size=2).order.tolist() == [1, 2]
    assert rank_clusters(assignments, labels, 3, keep=1, min_size=2).order.tolist() == [1]
    with pytest.raises(ValueError, match='no cluster has min_size=4 members, the largest has 3'):
        rank_clusters(assignments, labels, 3, keep=5, min_size=4)


def test_initial_detectors_choose_the_nearest_centre():
    centres, points = 5 * torch.randn(7, 3), 5 * torch.randn(40, 3)
    weight, bias = initial_detectors(centres, sharpness=0.3)
    logits = points @ weight.T + bias
    distances = torch.cdist(points, centres).square()
    expected = (-0.15 * distances).softmax(1)
    torch.testing.assert_close(logits.softmax(1), expected, rtol=1e-4, atol=1e-6)


def test_confident_locations_and_loss_by_hand():
    parts = torch.tensor([[[0.9, 0.2], [0.1, 0.8]], [[0.5, 0.4], [0.5, 0.6]]])
    images, locations = confident_locations(parts, 2)
    assert images.tolist() == [[0, 1], [0, 1]]
    assert locations.tolist() == [[0, 0], [1, 1]]
    expected = -(math.log(0.9) + math.log(0.5) + math.log(0.8) + math.log(0.6)) / 4
    assert part_loss(parts, 2).item() == pytest.approx(expected, rel=1e-6)
    only_first = -(math.log(0.9) + math.log(0.5)) / 2
    used = torch.tensor([True, False])
    assert part_loss(parts, 2, used).item() == pytest.approx(only_first, rel=1e-6)


def test_part_loss_has_a_finite_gradient():
    features = torch.randn(2, 4, 6)
    weight, bias = (100 * torch.randn(5, 4)).requires_grad_(), torch.zeros(5, requires_grad=True)
    used = torch.tensor([True, True, True, True, False])
    part_loss(part_probabilities(features, weight, bias, used), 3, used).backward()
    assert torch.isfinite(weight.grad).all() and torch.isfinite(bias.grad).all()
    assert weight.grad.abs().sum() > 0
