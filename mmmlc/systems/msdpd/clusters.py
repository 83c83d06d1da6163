"""From points of a scale to its part detectors: clusters, their entropy, a first training.

P: points, C: classes, D: channels, Q: clusters, K: part detectors.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .clustering import kmeans
from .parts import Ranking, initial_detectors, rank_clusters
from .sampling import ScalePoints


class MinedScale(NamedTuple):
    """Detectors of one scale and where they come from; K' <= K detectors."""

    weight: Tensor  # (K', D) W_1
    bias: Tensor  # (K',) b_1
    centres: Tensor  # (Q, D) of all clusters
    assignments: Tensor  # (P,)
    ranking: Ranking
    images: Tensor  # (P,) image of each point
    locations: Tensor  # (P,)
    distances: Tensor  # (P,) to the own centre
    size: tuple[int, int]  # (h, w) of the map


def mine_scale(
    sampled: ScalePoints,
    labels: Tensor,
    clusters: int,
    keep: int,
    min_size: int = 10,
    instances: int = 50,
    steps: int = 50,
    seed: int = 0,
    device: str | torch.device = 'cpu',
) -> MinedScale:
    """Find the part detectors of a scale.

    Args:
        sampled: Points of the scale.
        labels: (N, C) 0/1 labels of the images.
        clusters: Q; fewer are made of fewer points.
        keep: K.
        min_size: Members a cluster must have.
        instances: t, members nearest to its centre that a detector is first trained on (Eq. 7).
        steps: Steps of that training; 0 leaves the detectors at "nearest centre".
        seed: Of the clustering.
        device: Where to compute.
    """
    points = sampled.points.to(device)
    found = kmeans(points, min(clusters, len(points)), seed=seed)
    assignments = found.assignments
    distances = (points - found.centres[assignments]).square().sum(1).sqrt()
    members = labels[sampled.images].to(device)
    ranking = rank_clusters(assignments, members, len(found.centres), keep, min_size)
    spread = distances.square().mean().clamp(min=1e-12)
    weight, bias = initial_detectors(found.centres[ranking.order], float(1 / spread))
    if steps:
        chosen, targets = nearest_members(assignments, distances, ranking.order, instances)
        weight, bias = fit_detectors(points[chosen], targets, weight, bias, steps)
    mined = MinedScale(
        weight, bias, found.centres, assignments, ranking, sampled.images, sampled.locations,
        distances, sampled.size,
    )  # fmt: skip
    return mined._replace(
        ranking=Ranking(*(value.cpu() for value in ranking)),
        **{name: getattr(mined, name).cpu() for name in mined._fields if name not in _NOT_TENSORS},
    )


_NOT_TENSORS = ('ranking', 'size')


def nearest_members(
    assignments: Tensor, distances: Tensor, order: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """The ``count`` members nearest to its centre of each cluster in ``order``.

    Args:
        assignments: (P,).
        distances: (P,) to the own centre.
        order: (K',) clusters.
        count: Members a cluster at most.

    Returns:
        Points (X,) and for each the position of its cluster in ``order`` (X,).
    """
    position = torch.full((int(assignments.max()) + 1,), -1, device=assignments.device)
    position[order] = torch.arange(len(order), device=order.device)
    by_distance = distances.argsort()
    ordered = by_distance[assignments[by_distance].argsort(stable=True)]
    groups = assignments[ordered]
    sizes = torch.bincount(groups)
    rank = torch.arange(len(groups), device=groups.device) - (sizes.cumsum(0) - sizes)[groups]
    wanted = (rank < count) & (position[groups] >= 0)
    return ordered[wanted], position[groups[wanted]]


def fit_detectors(
    points: Tensor, targets: Tensor, weight: Tensor, bias: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Train detectors by the cross-entropy of their instances, Eq. 7, from a given start.

    Args:
        points: (X, D) instances.
        targets: (X,) detector of each.
        weight: (K, D) start.
        bias: (K,) start.
        steps: Iterations of L-BFGS.
    """
    # The same problem at unit scale: activations of any size need no own learning rate.
    unit = points.square().mean().sqrt().clamp(min=1e-12)
    scaled, weight = points / unit, (weight * unit).clone().requires_grad_()
    bias = bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=steps, history_size=5, line_search_fn='strong_wolfe'
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        # A little decay: separable instances would drive the weights to infinity.
        decay = 1e-4 * weight.square().sum(1).mean()
        loss = F.cross_entropy(scaled @ weight.T + bias, targets) + decay
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return (weight / unit).detach(), bias.detach()
