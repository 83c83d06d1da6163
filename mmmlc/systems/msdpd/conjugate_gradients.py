"""Conjugate gradients for the ridge systems of task-driven pooling.

B: images, K: part detectors, M: locations of a map.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Iterations after which forming and factorising the matrix would have been as fast.
ITERATIONS_PER_SIZE = 0.1
# torch 2.4 can't read it from annotations that are strings.
SCHEMA = '(Tensor parts, Tensor right, float strength, float constant, float tolerance) -> Tensor'


# An operator of its own, as torch.compile can't see into a loop that ends when the numbers say so.
@torch.library.custom_op('mmmlc::solve_ridge', mutates_args=(), schema=SCHEMA)
def solve_ridge(
    parts: Tensor, right: Tensor, strength: float, constant: float, tolerance: float
) -> Tensor:
    """Solve ``A x = b`` with ``A = O O^T + s I``, without forming ``O O^T``.

    x is the minimum of ``x^T A x - 2 b^T x + constant``. As A is at least s I, a residual r says
    that x is at most ``|r|^2 / s`` above it; the iteration ends when that is at most ``tolerance``
    times the minimum. The diagonal of A preconditions it, because detectors that fire often and
    detectors that fire nowhere have diagonals of different orders of magnitude. Systems that are
    not solved after some ``min(K, M) / 10`` iterations are factorised instead.

    Waits for the GPU, if there is one, in every iteration.

    Args:
        parts: O (B, K, M).
        right: b (B, K).
        strength: s, positive.
        constant: Makes the minimum what the tolerance should be relative to; with 0 it is the
            squared length of x under A.
        tolerance: Relative gap, positive.

    Returns:
        x (B, K).
    """
    diagonal = torch.linalg.vector_norm(parts, dim=2).square()[:, None] + strength
    # Row vectors: MKL multiplies a stack of them by matrices ten times faster than columns.
    residual = right[:, None]
    solution = torch.zeros_like(residual)
    direction = conditioned = residual / diagonal
    product = _dot(residual, conditioned)
    # Keeps the quotients of an image that is solved already from 0 / 0.
    tiny = torch.finfo(parts.dtype).tiny
    for _ in range(int(ITERATIONS_PER_SIZE * min(parts.shape[1:]))):
        image = (direction @ parts) @ parts.mT + strength * direction
        step = product / _dot(direction, image).clamp_min(tiny)
        solution = solution + step * direction
        residual = residual - step * image
        gap = _dot(residual, residual) / strength
        if (gap <= tolerance * (constant - _dot(right[:, None], solution)).abs()).all():
            return solution[:, 0]
        conditioned = residual / diagonal
        previous, product = product, _dot(residual, conditioned)
        direction = conditioned + product / previous.clamp_min(tiny) * direction
    return torch.cholesky_solve(right[..., None], factorise(parts @ parts.mT, strength))[..., 0]


@solve_ridge.register_fake
def _(parts: Tensor, right: Tensor, strength: float, constant: float, tolerance: float) -> Tensor:
    return torch.empty_like(right)


def factorise(gram: Tensor, strength: float) -> Tensor:
    """Cholesky factor of ``gram + strength I``, which is positive definite; changes ``gram``."""
    gram.diagonal(dim1=-2, dim2=-1).add_(strength)
    # check_errors would make the CPU wait for the GPU.
    return torch.linalg.cholesky_ex(gram).L


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """Dot products of row vectors (B, 1, K): (B, 1, 1)."""
    return (left * right).sum(2, keepdim=True)
