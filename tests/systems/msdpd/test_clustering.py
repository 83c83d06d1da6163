"""K-means in torch against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.optional import needs_gpu
from sklearn.cluster import KMeans

from mmmlc.systems.msdpd.clustering import kmeans, kmeans_torch


def blobs(centres: int = 8, each: int = 50) -> torch.Tensor:
    return (10 * torch.randn(centres, 1, 5) + torch.randn(centres, each, 5)).flatten(0, 1)


@pytest.mark.parametrize('cluster', [kmeans, kmeans_torch])
def test_finds_the_blobs(cluster):
    points = blobs()
    found = cluster(points, 8, seed=0)
    truth = torch.arange(8).repeat_interleave(50)
    pairs = {*zip(found.assignments.tolist(), truth.tolist(), strict=True)}
    assert len(pairs) == 8  # a one-to-one relation
    for centre in range(8):
        members = points[found.assignments == centre]
        torch.testing.assert_close(found.centres[centre], members.mean(0), rtol=1e-4, atol=1e-4)
    expected = (points - found.centres[found.assignments]).square().sum().item()
    assert found.inertia == pytest.approx(expected, rel=1e-4)


def test_inertia_near_scikit_learn_on_noise():
    points = torch.randn(2000, 16)
    ours = kmeans_torch(points, 100, iterations=30).inertia
    reference = KMeans(100, n_init=1, max_iter=30, random_state=0).fit(points.numpy()).inertia_
    assert ours < 1.02 * reference


def test_more_clusters_than_different_points():
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(4, 1)
    found = kmeans_torch(points, 4)
    assert torch.isfinite(found.centres).all()
    assert found.inertia == pytest.approx(0, abs=1e-6)


def test_assignments_are_the_nearest_centres():
    points = torch.randn(300, 3)
    found = kmeans_torch(points, 20)
    nearest = np.argmin(torch.cdist(points, found.centres).numpy(), axis=1)
    assert found.assignments.tolist() == nearest.tolist()


def test_too_few_points():
    with pytest.raises(ValueError, match='5 clusters of 3 points'):
        kmeans(torch.randn(3, 2), 5)


@needs_gpu
def test_on_a_gpu():
    points = torch.randn(20000, 64)
    found = kmeans(points.cuda(), 200)
    reference = KMeans(200, n_init=1, max_iter=50, random_state=0).fit(points.numpy())
    assert found.centres.is_cuda
    assert found.inertia < 1.02 * reference.inertia_
