"""Ten views of an image: cut from one feature map, against ten forwards of image crops.

VGG-16 and RDAL (widths 4096) at 512, one image at a time, as in the paper's timing.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from mmmlc.registry import MODELS

from .timing import median_ratio

C, SIZE = 20, 512
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def run() -> Iterator[dict]:
    """Yield the figures one by one."""
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if DEVICE == 'cuda' else 'cpu'
    figures = (
        ('views.features_speedup_over_images', 'map', '>= 4'),
        ('views.features_and_exact_mirror_speedup_over_images', 'image', '> 1'),
    )
    model = build()
    for figure, mirror, reach in figures:
        yield dict(figure=figure, value=speedup(model, mirror), reach=reach, device=name)


def build() -> nn.Module:
    """The model of configs/rdal/rdal_vgg16_voc07-512-ten.py."""
    config = dict(
        type='mmmlc.TenViews',
        classifier='mmpretrain.ImageClassifier',
        backbone=dict(type='mmpretrain.VGG', depth=16, with_last_pool=False),
        neck=dict(type='mmmlc.RecurrentAttention', in_channels=512, num_classes=C),
        head=dict(type='mmmlc.RecurrentAttentionHead', num_classes=C),
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'),
    )
    return MODELS.build(config).to(DEVICE).eval()


@torch.inference_mode()
def speedup(model: nn.Module, mirror: str) -> float:
    """Time of the ten forwards over that of the ten views of the feature map, same weights."""
    image = torch.rand(1, 3, SIZE, SIZE, device=DEVICE)

    def predict(mode: str) -> None:
        model.mode, model.mirror = mode, mirror
        model.predict(image)

    return median_ratio(lambda: predict('images'), lambda: predict('features'), repeats=3)
