"""Part detectors of one scale and their pooling: O, phi and the feature of MsDPD (Eq. 2 and 6).

B: images, K: part detectors, D: channels, M: locations of a map.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmmlc.ops.checks import check_choice

from .parts import part_probabilities
from .task_driven import iterate_task_driven, task_driven_pool

PART_POOLINGS = ('task_driven', 'average', 'max')
# Options of each solver.
SOLVERS = {
    'closed': ('tolerance',),
    'cholesky': (),
    'conjugate_gradients': ('tolerance',),
    'iterative': ('learning_rate', 'steps'),
}


def solver_options(solver: str | dict) -> tuple[str, dict]:
    """Name and options of a solver given as a name or as a dict with its ``type``.

    Raises:
        ValueError: for another name, or an option that the solver does not have.
    """
    options = dict(type=solver) if isinstance(solver, str) else dict(solver)
    name = options.pop('type', None)
    check_choice('head.solver', name, tuple(SOLVERS))
    for option in options:
        if option not in SOLVERS[name]:
            raise ValueError(
                f'head.solver of type {name!r} got {option!r}, expected none but: '
                f'{", ".join(SOLVERS[name]) or "type"}'
            )
    return name, options


class Parts(NamedTuple):
    """Part maps of one scale and what is pooled from them."""

    maps: Tensor  # O (B, K, M)
    phi: Tensor  # (B, K) as pooled, of which J2 speaks
    feature: Tensor  # (B, K) phi brought to the length sqrt(K), for the classifier


class PartDetectors(BaseModule):
    """Part detectors of one scale and their pooling (Eq. 2 and 6).

    Args:
        in_channels: D.
        num_parts: K; 0 pools the raw map instead (the ablation "without part detectors").
        pooling: ``'task_driven'``, ``'average'`` or ``'max'`` (Table 4).
        ridge: r of the task-driven pooling, relative to M. See :func:`task_driven_pool`.
        solver: ``'closed'`` form, by the method that suits size and device; ``'cholesky'`` or
            ``'conjugate_gradients'`` name one; ``'iterative'`` is the paper's gradient descent. A
            dict has its options too: ``dict(type='iterative', learning_rate=0.01, steps=100)``,
            ``dict(type='closed', tolerance=1e-6)``. See :func:`task_driven_pool` and
            :func:`iterate_task_driven`.
    """

    used: Tensor

    def __init__(
        self,
        in_channels: int,
        num_parts: int,
        pooling: str = 'task_driven',
        ridge: float = 0.01,
        solver: str | dict = 'closed',
    ):
        super().__init__()
        check_choice('head.pooling', pooling, PART_POOLINGS)
        if not ridge > 0:
            raise ValueError(f'head.ridge is {ridge}, expected a positive number')
        self.in_channels = in_channels
        self.num_parts = num_parts
        self.pooling = pooling
        self.ridge = ridge
        name, options = solver_options(solver)
        self.solve: Callable[..., Tensor]
        if name == 'iterative':
            self.solve = partial(iterate_task_driven, **options)
        else:
            options['solver'] = 'auto' if name == 'closed' else name
            self.solve = partial(task_driven_pool, **options)
        if num_parts:
            self.weight = nn.Parameter(torch.empty(num_parts, in_channels))
            self.bias = nn.Parameter(torch.zeros(num_parts))
            nn.init.normal_(self.weight, std=0.01)
            self.register_buffer('used', torch.ones(num_parts, dtype=torch.bool))

    @property
    def out_channels(self) -> int:
        """Length of the pooled feature."""
        return self.num_parts or self.in_channels

    @torch.no_grad()
    def set_detectors(self, weight: Tensor, bias: Tensor) -> None:
        """Take mined detectors (K', D) and (K',); the K - K' left over are masked out.

        Raises:
            ValueError: for more detectors than ``num_parts``, or another number of channels.
        """
        found, channels = weight.shape
        if found > self.num_parts or channels != self.in_channels:
            raise ValueError(
                f'{found} mined detectors of {channels} channels, this scale has room for '
                f'{self.num_parts} of {self.in_channels}'
            )
        self.weight.zero_()[:found] = weight
        self.bias.zero_()[:found] = bias
        self.used.zero_()[:found] = True

    def maps(self, features: Tensor) -> Tensor:
        """Part maps O (B, K, M) of a feature map (B, D, h, w), or of no parts: unit vectors."""
        flat = features.flatten(2)
        if not self.num_parts:
            # Dot products of raw activations have no common scale; those of unit vectors have.
            return F.normalize(flat.float(), dim=1) if self.pooling == 'task_driven' else flat
        return part_probabilities(flat, self.weight, self.bias, self.used)

    def pool(self, maps: Tensor) -> Tensor:
        """Phi (B, K) of maps (B, K, M)."""
        if self.pooling == 'average':
            return maps.mean(2)
        if self.pooling == 'max':
            return maps.amax(2)
        return self.solve(maps, ridge=self.ridge)

    def normalise(self, phi: Tensor) -> Tensor:
        """Phi with length sqrt(K): as long as the all-ones vector, whatever the ridge."""
        if not self.num_parts:
            return F.normalize(phi.float(), dim=1) * self.in_channels**0.5
        return F.normalize(phi.float(), dim=1) * self.used.sum().sqrt()

    def forward(self, features: Tensor) -> Parts:
        """Parts of a feature map (B, D, h, w)."""
        if features.ndim != 4 or features.shape[1] != self.in_channels:
            raise ValueError(
                f'features have the shape {tuple(features.shape)}, expected a map '
                f'(B, {self.in_channels}, h, w) (model.head.in_channels)'
            )
        maps = self.maps(features)
        phi = self.pool(maps)
        return Parts(maps, phi, self.normalise(phi))
