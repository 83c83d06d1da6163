"""Task-driven pooling of part maps: generalised max pooling, closed form and iterative.

Every location should have the same dot product, one, with the pooled feature (MsDPD, Eq. 6). As the
maps of a softmax sum to one everywhere, the all-ones vector does that perfectly and says nothing
about the image; the ridge term of Murray and Perronnin (CVPR 2014) makes the pooling useful.

B: images, K: part detectors, M: locations of a map.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmmlc.ops.checks import check_choice

from .conjugate_gradients import factorise, solve_ridge

SOLVERS = ('auto', 'cholesky', 'conjugate_gradients')
# Below this many detectors or locations a factorisation costs less than the iterations' overhead.
SMALLEST_ITERATED = 128
# Below the first the rounding of float32 is larger than the ridge, below the second float64's.
SINGLE_RIDGE, LEAST_RIDGE = 1e-3, 1e-12


def task_driven_pool(
    parts: Tensor, ridge: float = 1.0, solver: str = 'auto', tolerance: float | None = None
) -> Tensor:
    """Pool part maps in closed form: argmin ``|O^T phi - 1|^2 + r |phi|^2`` with r = ridge * M.

    Differentiable once, so that a network can be trained end to end through it; the gradient takes
    one more solve of the same system.

    Args:
        parts: (B, K, M) part probabilities O in [0, 1].
        ridge: r relative to M, from 1e-12 to 1e12. Towards 0 the result is all ones where M >= K,
            towards infinity it is average pooling in direction. Below 1e-3 it is computed in
            float64.
        solver: ``'cholesky'`` factorises the smaller of the K x K and M x M systems.
            ``'conjugate_gradients'`` (:func:`solve_ridge`) does not form it. ``'auto'`` takes these
            on a CPU, but for small systems, and Cholesky on a GPU, which they would make wait.
        tolerance: Where conjugate gradients end: the relative gap that the objective may have to
            its minimum. The default is the rounding of the type: 1e-12 for float32.

    Returns:
        phi (B, K), float32 (float64 for such parts), also under AMP.

    Raises:
        ValueError: for a ridge out of its range, a tolerance that is not positive, another solver,
            parts of another number of dimensions, or float16 parts with a ridge below 1e-3, whose
            gradients exceed what float16 can hold.

    Examples:
        >>> task_driven_pool(torch.tensor([[[1.0, 1.0], [0.0, 0.0]]]), ridge=1.0)
        tensor([[0.5000, 0.0000]])
    """
    check_parts(parts, ridge)
    check_choice('solver', solver, SOLVERS)
    if not (tolerance is None or tolerance > 0):
        raise ValueError(f'tolerance is {tolerance}, expected a positive number')
    with torch.autocast(parts.device.type, enabled=False):
        parts = _at_least_float32(parts)
        kind = parts.dtype
        if ridge < SINGLE_RIDGE:
            parts = parts.double()
        strength = ridge * parts.shape[2]
        if solver == 'cholesky' or solver == 'auto' and not _gains_from_iterations(parts):
            return _Factorised.apply(parts, strength).to(kind)
        if tolerance is None:
            tolerance = 100 * torch.finfo(kind).eps ** 2
        return _Iterated.apply(parts, strength, tolerance).to(kind)


def _gains_from_iterations(parts: Tensor) -> bool:
    return parts.device.type == 'cpu' and min(parts.shape[1:]) >= SMALLEST_ITERATED


class _Factorised(torch.autograd.Function):
    """``(O O^T + s I)^-1 O 1``; its gradient takes one more solve with the same factor.

    Back-propagation through the products and the factorisation would cost several times the
    forward pass instead.
    """

    @staticmethod
    def forward(ctx: Any, parts: Tensor, strength: float) -> Tensor:
        if parts.shape[1] <= parts.shape[2]:
            factor = factorise(parts @ parts.mT, strength)
            phi = torch.cholesky_solve(parts.sum(2, keepdim=True), factor)
            if ctx.needs_input_grad[0]:
                ctx.save_for_backward(parts, factor, phi, 1 - (phi.mT @ parts).mT)
        else:
            factor = factorise(parts.mT @ parts, strength)
            ones = parts.new_ones(len(parts), parts.shape[2], 1)
            dual = torch.cholesky_solve(ones, factor)  # the residual divided by s
            phi = parts @ dual
            ctx.save_for_backward(parts, factor, phi, dual)
        return phi[..., 0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        parts, factor, phi, dual = ctx.saved_tensors
        gradient = gradient[..., None]
        if parts.shape[1] <= parts.shape[2]:
            left = torch.cholesky_solve(gradient, factor)
            right = left.mT @ parts
        else:
            right = torch.cholesky_solve((gradient.mT @ parts).mT, factor).mT
            left = gradient - (right @ parts.mT).mT
        return _rank_two(left, dual.mT, phi, right), None


class _Iterated(torch.autograd.Function):
    """The same by conjugate gradients."""

    @staticmethod
    def forward(ctx: Any, parts: Tensor, strength: float, tolerance: float) -> Tensor:
        locations = float(parts.shape[2])
        phi = solve_ridge(parts, parts.sum(2), strength, locations, tolerance)
        ctx.save_for_backward(parts, phi)
        ctx.strength, ctx.tolerance = strength, tolerance
        return phi

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        parts, phi = ctx.saved_tensors
        left = solve_ridge(parts, gradient, ctx.strength, 0.0, ctx.tolerance)
        residual, right = 1 - phi[:, None] @ parts, left[:, None] @ parts
        return _rank_two(left[..., None], residual, phi[..., None], right), None, None


def _rank_two(left: Tensor, dual: Tensor, phi: Tensor, right: Tensor) -> Tensor:
    """``left dual - phi right`` of columns (B, K, 1) and rows (B, 1, M): the gradient (B, K, M)."""
    return (left * dual).addcmul_(phi, right, value=-1)


def iterate_task_driven(
    parts: Tensor,
    ridge: float = 1.0,
    learning_rate: float = 0.01,
    steps: int = 100,
    start: Tensor | None = None,
) -> Tensor:
    """Pool part maps by gradient descent on the same objective, as the paper does (Section 2.4).

    Args:
        parts: (B, K, M) part probabilities O.
        ridge: r relative to M; 0 is the paper's Eq. 6 without regularisation, where stopping early
            takes its place.
        learning_rate: Step, for the objective as a sum over locations.
        steps: Iterations.
        start: (B, K) first phi; average pooling by default.

    Returns:
        phi (B, K), float32 or float64. It carries no gradient to ``parts``: the paper keeps the
        detectors fixed while it updates phi.

    Raises:
        ValueError: for a ridge out of its range, and where the iteration diverges.
    """
    check_parts(parts, ridge, zero_allowed=True)
    with torch.no_grad(), torch.autocast(parts.device.type, enabled=False):
        parts = _at_least_float32(parts)
        phi = parts.mean(2) if start is None else start.to(parts)
        # Row vectors: MKL multiplies a stack of them by matrices ten times faster than columns.
        phi = phi[:, None]
        strength = ridge * parts.shape[2]
        for _ in range(steps):
            gradient = (phi @ parts - 1) @ parts.mT + strength * phi
            phi = phi - 2 * learning_rate * gradient
        if not phi.isfinite().all():
            raise ValueError(
                f'the iteration of the pooling diverges with learning_rate={learning_rate}, steps='
                f'{steps} and ridge={ridge} for {parts.shape[2]} locations: take a smaller '
                'learning_rate (model.head.solver)'
            )
        return phi[:, 0]


def task_driven_objective(parts: Tensor, phi: Tensor, ridge: float = 0.0) -> Tensor:
    """``|O^T phi - 1|^2 + r |phi|^2`` divided by M: J2 (Eq. 6) of each image for ``ridge=0``.

    Args:
        parts: (B, K, M) part probabilities O.
        phi: (B, K).
        ridge: r relative to M.

    Returns:
        (B,).
    """
    check_parts(parts, ridge, zero_allowed=True)
    with torch.autocast(parts.device.type, enabled=False):
        parts, phi = _at_least_float32(parts), _at_least_float32(phi)
        residual = (phi[:, None] @ parts)[:, 0] - 1
        return residual.square().mean(1) + ridge * phi.square().sum(1)


def check_parts(parts: Tensor, ridge: float, zero_allowed: bool = False) -> None:
    """Raise ValueError for parts that are not (B, K, M), or a ridge out of its range."""
    if parts.ndim != 3:
        raise ValueError(f'parts have the shape {tuple(parts.shape)}, expected (B, K, M)')
    if not (LEAST_RIDGE <= ridge <= 1 / LEAST_RIDGE or zero_allowed and ridge == 0):
        raise ValueError(
            f'ridge is {ridge}, expected a positive number from {LEAST_RIDGE} to '
            f'{1 / LEAST_RIDGE}: without it the pooled feature is all ones for every image'
        )
    if parts.dtype == torch.float16 and ridge < SINGLE_RIDGE and not zero_allowed:
        raise ValueError(
            f'ridge is {ridge} and the parts are float16, expected at least {SINGLE_RIDGE} or '
            'parts in float32 or bfloat16: gradients exceed what float16 can hold'
        )


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
