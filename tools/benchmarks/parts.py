"""Task-driven pooling in closed form against the paper's iteration; k-means on a GPU.

The iteration descends on the sum over the locations (Eq. 6 with a ridge) and gets what it cannot
have in practice: the best learning rate of a grid, and the number of steps after which its
objective is within 1e-5 of the minimum, found beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mmmlc.ops.clustering import kmeans_torch
from mmmlc.ops.task_driven import iterate_task_driven, task_driven_objective, task_driven_pool

from .timing import median_ratio, seconds

B, K, M = 8, 700, 1024
RIDGE = 1 / M  # r = 1, relative to M
GAP = 1e-5
LEARNING_RATES = tuple(0.005 * 1.25**power for power in range(24))


def steps_needed(parts: Tensor, target: Tensor, rate: float, most: int) -> int | None:
    """Steps until the objective of every image is below ``target`` (B,); None if not by then."""
    phi = None
    for step in range(1, most + 1):
        phi = iterate_task_driven(parts, RIDGE, rate, 1, phi)
        objective = task_driven_objective(parts, phi, RIDGE)
        if not torch.isfinite(objective).all():
            return None
        if (objective <= target).all():
            return step
    return None


def fastest_descent(parts: Tensor) -> tuple[float, int]:
    """Learning rate and number of steps of the fastest descent to a relative gap of 1e-5."""
    best = task_driven_pool(parts.double(), RIDGE)
    target = task_driven_objective(parts.double(), best, RIDGE).to(parts.dtype) * (1 + GAP)
    rate, steps = 0.0, 2000
    for candidate in LEARNING_RATES:
        found = steps_needed(parts, target, candidate, steps - 1)
        if found is not None:
            rate, steps = candidate, found
    return rate, steps


def run() -> Iterator[dict]:
    """Yield one dict per figure."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    generator = torch.Generator().manual_seed(0)
    parts = (3 * torch.randn(B, K, M, generator=generator)).softmax(1).to(device)
    rate, steps = fastest_descent(parts)
    ratio = median_ratio(
        lambda: iterate_task_driven(parts, RIDGE, rate, steps),
        lambda: task_driven_pool(parts, RIDGE),
    )
    figure = f'parts.closed_form_speedup_over_{steps}_steps_of_descent'
    yield dict(figure=figure, value=ratio, reach='>= 1', device=device)
    if device == 'cuda':
        yield from kmeans_figures()


def kmeans_figures(points: int = 100_000, channels: int = 1024, clusters: int = 2000):
    """K-means on the GPU against scikit-learn's, 10 iterations each."""
    from sklearn.cluster import KMeans

    data = torch.randn(points, channels)
    model = KMeans(clusters, n_init=1, max_iter=10, tol=0, random_state=0)
    reference = seconds(lambda: model.fit(data.numpy()))
    on_gpu = data.cuda()
    kmeans_torch(on_gpu, clusters, 1)
    found = []
    ours = seconds(lambda: found.append(kmeans_torch(on_gpu, clusters, 10)))
    figures = {
        'parts.kmeans_speedup_over_scikit_learn': (reference / ours, '>= 20'),
        'parts.kmeans_inertia_over_scikit_learn': (found[0].inertia / model.inertia_, '<= 1.02'),
    }
    for figure, (value, reach) in figures.items():
        yield dict(figure=figure, value=round(value, 4), reach=reach, device='cuda')
