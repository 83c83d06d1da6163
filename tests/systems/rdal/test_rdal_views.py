"""Features of RDAL's regions, of single images and of ten views."""

from __future__ import annotations

import pytest
import torch
from examples_rdal import RDAL
from helpers.view_lab import build

from mmmlc.models.features import image_features
from mmmlc.ops.views import cut_windows, view_windows


@torch.no_grad()
@pytest.mark.parametrize('mode', ['features', 'images'])
def test_features_are_averaged_over_views(mode):
    images = torch.randn(2, 3, 64, 64)
    model, single = build(RDAL, mode=mode, margin=16), build(RDAL)
    if mode == 'images':
        ends = [(0, 0), (0, 16), (16, 0), (16, 16), (8, 8)]
        views = [images[..., y : y + 48, x : x + 48] for y, x in ends]
        outputs = [single.extract_feat(v) for view in views for v in (view, view.flip(-1))]
    else:
        windows = view_windows((4, 4), (64, 64), 16)
        maps = single.backbone(images)[0]
        views = cut_windows(maps, windows).unbind(1)
        outputs = [single.neck(v) for view in views for v in (view, view.flip(-1))]
    expected = torch.stack([regions.hidden.amax(1) for regions in outputs]).mean(0)
    torch.testing.assert_close(image_features(model, images), expected)


@torch.no_grad()
def test_sampled_features_of_a_single_model():
    images = torch.randn(2, 3, 64, 64)
    rdal = build(RDAL | dict(head=RDAL['head'] | dict(feature='sampled')))
    expected = rdal.extract_feat(images).sampled.amax(1)
    torch.testing.assert_close(image_features(rdal, images), expected)
