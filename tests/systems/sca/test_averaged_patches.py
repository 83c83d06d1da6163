"""SCA-DNN's losses in two processes: they divide by the patches that a process has drawn."""

from __future__ import annotations

import pytest
import torch

from mmmlc.systems.sca.patches import label_loss, location_loss, patch_loss

C = 4


def losses(rows: slice, weight: torch.Tensor) -> torch.Tensor:
    """All three of patches that a layer scores."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(12, 3, generator=generator)[rows]
    labels = (torch.rand(12, C, generator=generator) > 0.5).float()[rows]
    positive, out = labels[:, 0] > 0, vectors @ weight
    location = location_loss(out[:, :4], torch.zeros(len(out), 4), positive)
    return location + patch_loss(out[:, 4], positive) + label_loss(out[:, :C], labels)


@pytest.mark.parametrize(('cut', 'same'), [(6, True), (9, False)])
def test_the_mean_of_two_processes(cut, same):
    weight = torch.randn(3, 5, requires_grad=True)
    whole, first, second = (
        torch.autograd.grad(losses(rows, weight), weight)[0]
        for rows in (slice(None), slice(cut), slice(cut, None))
    )
    off = float(((first + second) / 2 - whole).norm() / whole.norm())
    assert off < 1e-6 if same else off > 0.05
