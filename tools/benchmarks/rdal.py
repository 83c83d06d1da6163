"""RDAL: the recurrent module against the backbone, both forward, on the same images in one run."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmpretrain.registry import MODELS

from .timing import median_ratio

IMAGES, SIZE, CLASSES, REGIONS, WIDTH = 8, 512, 80, 5, 4096
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def run() -> Iterator[dict]:
    """Yield the figure: VGG-16 up to conv5_3 and the module of the VGG-16 configs."""
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if DEVICE == 'cuda' else 'cpu'
    figure = 'rdal.module_over_backbone'
    yield dict(figure=figure, value=module_ratio(), reach='<= 0.10', device=name)


@torch.inference_mode()
def module_ratio() -> float:
    """Time of the K + 1 steps on the feature maps over the time that the maps take."""
    backbone = MODELS.build(dict(type='mmpretrain.VGG', depth=16, with_last_pool=False))
    neck = MODELS.build(
        dict(
            type='mmmlc.RecurrentAttention',
            in_channels=512,
            num_classes=CLASSES,
            num_regions=REGIONS,
            feature_width=WIDTH,
            hidden_width=WIDTH,
        )
    )
    backbone.to(DEVICE)
    backbone.eval()  # returns None in mmpretrain's VGG
    neck.to(DEVICE).eval()
    images = torch.rand(IMAGES, 3, SIZE, SIZE, device=DEVICE)
    maps = backbone(images)
    return median_ratio(lambda: neck(maps), lambda: backbone(images), repeats=3)
