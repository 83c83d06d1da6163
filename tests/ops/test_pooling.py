"""Global pooling against torch's pooling layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmmlc.ops.pooling import global_pool


def test_against_torch_layers():
    features = torch.randn(2, 5, 3, 4)
    average = nn.AdaptiveAvgPool2d(1)(features).flatten(1)
    maximum = nn.AdaptiveMaxPool2d(1)(features).flatten(1)
    torch.testing.assert_close(global_pool(features, 'gap'), average)
    torch.testing.assert_close(global_pool(features, 'gmp'), maximum)
    torch.testing.assert_close(global_pool(features, 'gwp'), (average + maximum) / 2)
    torch.testing.assert_close(global_pool(features, 'gwp', 0.2), 0.2 * average + 0.8 * maximum)


def test_unknown_pooling():
    with pytest.raises(ValueError, match="pooling is 'sum', expected one of 'gap', 'gmp', 'gwp'"):
        global_pool(torch.rand(1, 2, 3, 3), 'sum')
