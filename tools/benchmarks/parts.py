"""Task-driven pooling in closed form against the paper's iteration; k-means on a GPU.

The iteration descends on the sum over the locations (Eq. 6 with a ridge) and gets what it cannot
have in practice: the best learning rate of a grid, and the number of steps after which its
objective is within 1e-5 of the minimum, found beforehand. The closed form has no such help: its
solvers are exact to the rounding, or stop as soon as they can prove the same 1e-5.

On two kinds of maps: random ones, where the locations have little in common and a few steps are
enough; and those of detectors at sampled points of smooth maps, where neighbours fire together as
they do on the maps of a network.

D: channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mmmlc.systems.msdpd.clustering import kmeans_torch
from mmmlc.systems.msdpd.parts import initial_detectors, part_probabilities
from mmmlc.systems.msdpd.task_driven import (
    iterate_task_driven,
    task_driven_objective,
    task_driven_pool,
)

from .timing import median_ratio, seconds

B, K, M, D = 8, 700, 1024, 64
RIDGE = 1 / M  # r = 1, relative to M
GAP = 1e-5
RATES = tuple(0.3 + 0.05 * step for step in range(14))  # times 1 / largest eigenvalue
MOST_STEPS = 1000


def random_maps() -> Tensor:
    """Logits 3 N(0, 1)."""
    generator = torch.Generator().manual_seed(0)
    return (3 * torch.randn(B, K, M, generator=generator)).softmax(1)


def smooth_maps() -> Tensor:
    """Detectors at K points of B smooth fields, as sharp as mining makes them."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(B, D, 8, 8, generator=generator)
    fields = F.interpolate(coarse, size=(32, 32), mode='bicubic').flatten(2)
    points = fields.mT.flatten(0, 1)
    centres = points[torch.randperm(len(points), generator=generator)[:K]]
    spread = torch.cdist(points, centres).amin(1).square().mean()
    return part_probabilities(fields, *initial_detectors(centres, float(D / spread)))


def fastest_descent(parts: Tensor) -> tuple[float, int]:
    """Learning rate and number of steps of the fastest descent to a relative gap of 1e-5."""
    gram = (parts @ parts.mT).double()
    largest = torch.linalg.eigvalsh(gram)[:, -1].max().item() + RIDGE * M
    exact = task_driven_pool(parts.double(), RIDGE)
    target = task_driven_objective(parts.double(), exact, RIDGE).to(parts.dtype) * (1 + GAP)
    rate, steps = 0.0, MOST_STEPS
    for candidate in RATES:
        found = steps_needed(parts, target, candidate / largest, steps - 1)
        if found is not None:
            rate, steps = candidate / largest, found
    return rate, steps


def steps_needed(parts: Tensor, target: Tensor, rate: float, most: int) -> int | None:
    """Steps until the objective of every image is below ``target`` (B,); None if not by then."""
    phi = None
    for step in range(1, most + 1):
        phi = iterate_task_driven(parts, RIDGE, rate, 1, phi)
        objective = task_driven_objective(parts, phi, RIDGE)
        if (objective <= target).all():
            return step
        if step % 50 == 0 and not torch.isfinite(objective).all():
            return None
    return None


def unrolled(parts: Tensor, rate: float, steps: int) -> Tensor:
    """The iteration with a gradient through all of its steps."""
    phi = parts.mean(2)[:, None]
    for _ in range(steps):
        phi = phi - 2 * rate * ((phi @ parts - 1) @ parts.mT + RIDGE * M * phi)
    return phi[:, 0]


def gradient_of(pool: Callable[[Tensor], Tensor], parts: Tensor) -> Callable[[], object]:
    """A call that pools and back-propagates to the maps."""
    parts = parts.clone().requires_grad_()
    cotangent = torch.randn(B, K, generator=torch.Generator().manual_seed(1)).to(parts.device)
    return lambda: torch.autograd.grad(pool(parts), parts, cotangent)


def solvers() -> dict[str, Callable[[Tensor], Tensor]]:
    """The closed form: as near as the iteration, and to the rounding by either solver."""
    return {
        'conjugate_gradients_at_the_same_gap': partial(
            task_driven_pool, ridge=RIDGE, solver='conjugate_gradients', tolerance=GAP
        ),
        'conjugate_gradients_to_rounding': partial(
            task_driven_pool, ridge=RIDGE, solver='conjugate_gradients'
        ),
        'cholesky': partial(task_driven_pool, ridge=RIDGE, solver='cholesky'),
    }


def pooling_figures(name: str, parts: Tensor) -> Iterator[dict]:
    """Each solver against the iteration, alone and with its gradient."""
    rate, steps = fastest_descent(parts)
    iteration = partial(iterate_task_driven, parts, RIDGE, rate, steps)
    unrolled_gradient = gradient_of(partial(unrolled, rate=rate, steps=steps), parts)
    for solver, pool in solvers().items():
        forward = median_ratio(iteration, partial(pool, parts))
        backward = median_ratio(unrolled_gradient, gradient_of(pool, parts))
        for what, value in (('forward', forward), ('forward_and_gradient', backward)):
            figure = f'parts.{solver}_speedup_{name}_maps_{what}_over_{steps}_steps_of_descent'
            reach = '>= 1' if 'same_gap' in solver else 'quoted'
            yield dict(figure=figure, value=value, reach=reach, device=str(parts.device))


def run() -> Iterator[dict]:
    """Yield one dict per figure."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    # Probabilities below 1e-38 make a CPU slow, the iteration most.
    torch.set_flush_denormal(True)
    for name, maps in (('random', random_maps()), ('smooth', smooth_maps())):
        yield from pooling_figures(name, maps.to(device))
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
