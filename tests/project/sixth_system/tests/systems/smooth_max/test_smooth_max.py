"""The smooth maximum and the ranking of pairs against loops over places and pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.places import CONFIGS
from mmengine.config import Config
from mmmlc.systems.smooth_max.pooling import smooth_max
from mmmlc.systems.smooth_max.ranking import pair_ranking

from mmmlc.registry import MODELS


@pytest.mark.parametrize('sharpness', [0.5, 4.0, 200.0])
def test_smooth_max(sharpness):
    maps = torch.randn(2, 3, 4, 5)
    found = smooth_max(maps, sharpness)
    for index in np.ndindex(2, 3):
        values = maps[index].double().flatten().tolist()
        top = max(values)
        mean = sum(math.exp(sharpness * (v - top)) for v in values) / 20
        assert found[index].item() == pytest.approx(top + math.log(mean) / sharpness, abs=1e-5)
    assert (found <= maps.amax((-2, -1)) + 1e-5).all()


def test_pair_ranking():
    logits, targets = torch.randn(6, 5), torch.rand(6, 5).round()
    targets[0] = 0  # no pair
    valid = torch.rand(6, 5) < 0.8
    found = pair_ranking(logits, targets, valid)
    for i in range(6):
        pairs = [
            math.exp(logits[i, n] - logits[i, p])
            for n in range(5)
            for p in range(5)
            if valid[i, n] and valid[i, p] and targets[i, p] == 1 and targets[i, n] == 0
        ]
        assert found[i].item() == pytest.approx(math.log(1 + sum(pairs)), abs=1e-5)
    assert found[0] == 0


def test_large_logits_stay_finite():
    logits = torch.tensor([[300.0, -300.0]], requires_grad=True)
    loss = pair_ranking(logits, torch.tensor([[0, 1]]))
    loss.sum().backward()
    assert loss.item() == 600 and logits.grad.tolist() == [[1, -1]]


def test_config():
    cfg = Config.fromfile(CONFIGS / 'smooth_max/smooth_max_r18_toy.py')
    model = MODELS.build(cfg.model)
    assert model(torch.randn(2, 3, 96, 96)).shape == (2, cfg.num_classes)


def test_wrong_sharpness():
    with pytest.raises(ValueError, match='head.sharpness is 0, expected a number above 0'):
        MODELS.build(dict(type='mmmlc.SmoothMaxHead', num_classes=2, in_channels=4, sharpness=0))
