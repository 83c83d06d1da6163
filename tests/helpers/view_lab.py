"""Models and predictions for the tests of ten views."""

from __future__ import annotations

import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmmlc.registry import MODELS


def build(config: dict, **views) -> torch.nn.Module:
    """A model with weights that make a difference, in evaluation mode; with views, of them."""
    torch.manual_seed(1)
    if views:
        config = config | dict(type='mmmlc.TenViews', classifier=config['type']) | views
    model = MODELS.build(Config(dict(model=config)).model)
    model.init_weights()
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter)
    return model.eval()


def samples(shape=(64, 64), **meta) -> list[DataSample]:
    """Two samples of images that were four times as wide and twice as high."""
    record = dict(img_shape=shape, ori_shape=(128, 256), scale_factor=(0.25, 0.5)) | meta
    return [DataSample(metainfo=record) for _ in range(2)]


def reference(config: dict, images: torch.Tensor, margin: int) -> list[list[DataSample]]:
    """Predictions of the classifier on ten crops by hand, view after view."""
    model, (h, w) = build(config), images.shape[-2:]
    ends = [(0, 0), (0, margin), (margin, 0), (margin, margin), (margin // 2, margin // 2)]
    crops = [images[..., y : y + h - margin, x : x + w - margin] for y, x in ends]
    crops += [crop.flip(-1) for crop in crops]
    blank = dict(img_shape=(h - margin, w - margin))
    return [model.predict(crop, [DataSample(metainfo=blank) for _ in images]) for crop in crops]
