"""K-means: scikit-learn's on the CPU, one in torch where the points are on a GPU.

P: points, Q: clusters, D: channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Clusters(NamedTuple):
    """Result of k-means."""

    centres: Tensor  # (Q, D)
    assignments: Tensor  # (P,) nearest centre of each point
    inertia: float  # sum of squared distances to the nearest centre


def kmeans(points: Tensor, clusters: int, iterations: int = 50, seed: int = 0) -> Clusters:
    """Cluster points.

    Args:
        points: (P, D), finite.
        clusters: Q, at most P.
        iterations: Iterations of Lloyd's algorithm at most.
        seed: Of the initialisation.

    Raises:
        ValueError: if there are fewer points than clusters.
        ImportError: on the CPU without scikit-learn.
    """
    if not 1 <= clusters <= len(points):
        raise ValueError(f'{clusters} clusters of {len(points)} points, expected 1 to that many')
    points = points.float()
    if points.is_cuda:
        return kmeans_torch(points, clusters, iterations, seed)
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise ImportError(
            'k-means on the CPU needs scikit-learn: python -m pip install scikit-learn'
        ) from error
    found = KMeans(clusters, n_init=1, max_iter=iterations, random_state=seed).fit(points.numpy())
    return Clusters(
        torch.from_numpy(found.cluster_centers_).float(),
        torch.from_numpy(found.labels_).long(),
        float(found.inertia_),
    )


@torch.no_grad()
def kmeans_torch(points: Tensor, clusters: int, iterations: int = 50, seed: int = 0) -> Clusters:
    """Lloyd's algorithm by matrix products, on the device of the points.

    Starts from distant points (k-means++ in rounds, several points a round). A cluster that loses
    all its points restarts at the point furthest from its centre.
    """
    centres = _distant_points(points, clusters, seed)
    previous = None
    for _ in range(iterations):
        distances, assignments = _nearest(points, centres)
        # The only wait for the device in an iteration: a few bytes.
        if previous is not None and torch.equal(assignments, previous):
            break
        previous = assignments
        centres = _means(points, assignments, distances, clusters)
    distances, assignments = _nearest(points, centres)
    return Clusters(centres, assignments, float(distances.sum(dtype=torch.float64)))


def _nearest(points: Tensor, centres: Tensor, chunk: int = 65536) -> tuple[Tensor, Tensor]:
    """Squared distance (P,) to the nearest centre, and which it is (P,)."""
    offset = centres.square().sum(1)
    pieces = [(offset - 2 * (p @ centres.T)).min(1) for p in points.split(chunk)]
    distances = torch.cat([p.values for p in pieces]) + points.square().sum(1)
    return distances.clamp(min=0), torch.cat([p.indices for p in pieces])


def _means(points: Tensor, assignments: Tensor, distances: Tensor, clusters: int) -> Tensor:
    sums = points.new_zeros(clusters, points.shape[1]).index_add_(0, assignments, points)
    sizes = torch.bincount(assignments, minlength=clusters)
    means = sums / sizes.clamp(min=1)[:, None]
    empty = sizes == 0
    # The k-th empty cluster takes the k-th furthest point; no branch, so no wait for the device.
    furthest = distances.topk(clusters).indices
    rank = empty.cumsum(0).sub(1).clamp(min=0)
    return torch.where(empty[:, None], points[furthest[rank]], means)


def _distant_points(points: Tensor, clusters: int, seed: int, rounds: int = 16) -> Tensor:
    """Start centres, drawn in rounds with probability proportional to the squared distance."""
    generator = torch.Generator(points.device).manual_seed(seed)
    first = torch.randint(len(points), (1,), generator=generator, device=points.device)
    centres = points[first]
    distances = _nearest(points, centres)[0]
    for round_ in range(rounds):
        wanted = (clusters * (round_ + 1)) // rounds - len(centres)
        if wanted <= 0:
            continue
        # The largest of these keys is a draw without replacement, also of 2^24 points and more.
        noise = torch.rand(len(points), generator=generator, device=points.device)
        keys = noise.clamp(min=1e-30).log() / distances.clamp(min=1e-20)
        new = points[keys.topk(wanted).indices]
        centres = torch.cat([centres, new])
        distances = torch.minimum(distances, _nearest(points, new)[0])
    return centres
