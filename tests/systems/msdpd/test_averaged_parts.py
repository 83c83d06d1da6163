"""J3 in two processes: each takes the best locations among its own images."""

from __future__ import annotations

import torch

from mmmlc.systems.msdpd.parts import part_loss


def gradients(maps: torch.Tensor, instances: int) -> torch.Tensor:
    maps = maps.clone().requires_grad_()
    return torch.autograd.grad(part_loss(maps.softmax(1), instances), maps)[0]


def test_processes_with_the_same_images_are_one_with_twice_the_instances():
    half = torch.randn(4, 6, 9)
    together = gradients(torch.cat([half, half]), 10)
    torch.testing.assert_close(together[:4] * 2, gradients(half, 5))


def test_else_a_process_trains_on_locations_that_are_not_the_best_of_all():
    maps = torch.randn(8, 6, 9)
    maps[4:] -= 5 * torch.nn.functional.one_hot(torch.tensor(0), 6)[:, None]  # no part 0 there
    found = (gradients(maps[:4], 5)[:, 0] != 0, gradients(maps[4:], 5)[:, 0] != 0)
    assert all(map(bool, (x.any() for x in found)))
    # Ten of all images: none of the second half.
    best = maps.softmax(1)[:, 0].flatten().topk(10).indices // 9
    assert best.max() < 4
