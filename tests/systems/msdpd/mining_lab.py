"""Models, maps and points in which parts are planted."""

from __future__ import annotations

import torch

from mmmlc.systems.msdpd.head import MsDPDHead
from mmmlc.systems.msdpd.sampling import ScalePoints


class Identity(torch.nn.Module):
    """The images are the maps."""

    def __init__(self):
        super().__init__()
        self.head = MsDPDHead(2, in_channels=(3,), num_parts=(5,), plain_channels=3)
        self.head.init_weights()

    def data_preprocessor(self, batch: dict, training: bool) -> dict:
        return batch

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (inputs,)


def images(rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    classes = torch.arange(20) % 2
    maps = torch.randn(20, 3, 4, 4, generator=generator)
    return maps + classes[:, None, None, None], classes


def planted(each: int = 60) -> tuple[ScalePoints, torch.Tensor]:
    """Three parts: one of class 0 only, one of classes 0 and 1, one of everything."""
    centres = torch.tensor([[8.0, 0, 0], [0, 8.0, 0], [0, 0, 8.0]])
    points = (centres[:, None] + 0.3 * torch.randn(3, each, 3)).flatten(0, 1)
    classes = torch.cat([torch.zeros(each), torch.arange(each) % 2, torch.arange(each) % 4]).long()
    images = torch.arange(3 * each)
    labels = torch.nn.functional.one_hot(classes, 4)
    return ScalePoints(points, images, torch.zeros_like(images), (1, 1)), labels
