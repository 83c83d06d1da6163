"""What docs/training.md says of losses that processes average: the same as one process, or not.

Gradients of a batch against the mean of those of its halves.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmmlc.ops.losses import AsymmetricLoss, MultiLabelBCELoss

B, C = 16, 20


def difference(loss, inputs: Tensor, *others: Tensor) -> float:
    """Relative, of the mean of the halves' gradients from that of the whole batch."""
    inputs = inputs.requires_grad_()
    halves = [loss(*half) for half in zip(*(x.chunk(2) for x in (inputs, *others)), strict=True)]
    found, expected = (
        torch.autograd.grad(value, inputs)[0] for value in (sum(halves) / 2, loss(inputs, *others))
    )
    return float((found - expected).norm() / expected.norm())


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(B, C), (torch.rand(B, C) > 0.8).float()


@pytest.mark.parametrize('loss', [MultiLabelBCELoss(), AsymmetricLoss()])
def test_as_many_known_pairs_in_each_half(batch, loss):
    known = torch.rand(B // 2, C) < 0.3
    assert difference(loss, *batch, torch.ones(B, C).bool()) < 1e-6
    assert difference(loss, *batch, torch.cat([known, known.flip(1)])) < 1e-6


@pytest.mark.parametrize('loss', [MultiLabelBCELoss(), AsymmetricLoss()])
def test_few_known_pairs_in_one_half_count_more(batch, loss):
    known = torch.ones(B, C).bool()
    known[B // 2 :] = torch.rand(B // 2, C) < 0.1
    assert 1 < difference(loss, *batch, known) < 3


def test_a_sum_is_halved(batch):
    assert difference(AsymmetricLoss(reduction='sum'), *batch) == pytest.approx(0.5)
