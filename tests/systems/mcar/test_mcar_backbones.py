"""MCAR on the map of every backbone family."""

from __future__ import annotations

import pytest
import torch
from helpers.backbones import BACKBONES, size_and_stride
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample


@pytest.mark.parametrize('name', BACKBONES)
def test_mcar_on_the_map(name):
    """Shapes of the map, regions inside the image, and a gradient for every parameter."""
    backbone = MODELS.build(BACKBONES[name])
    size, stride = size_and_stride(name)
    images = torch.randn(2, 3, size, size)
    (features,) = backbone(images)
    assert features.shape[2:] == (size // stride, size // stride)
    head = dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=5,
        in_channels=features.shape[1],
        loss=dict(type='mmmlc.AsymmetricLoss'),
    )
    model = MODELS.build(dict(type='mmmlc.MCAR', backbone=BACKBONES[name], head=head, topn=2))
    losses = model.loss(images, [DataSample().set_gt_label([i, i + 1]) for i in range(2)])
    sum(losses.values()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    moved = [k for k, p in model.named_parameters() if p.grad is not None and p.grad.any()]
    first = next(k for k, p in model.named_parameters() if p.ndim == 4)  # the stem or patches
    assert first in moved and 'head.classifier.weight' in moved
    with torch.no_grad():
        sample = model.eval().predict(images)[0]
    assert sample.regions.shape == (2, 4)
    assert (sample.regions >= 0).all() and (sample.regions <= size).all()
    assert (sample.regions[:, 2:] > sample.regions[:, :2]).all()
