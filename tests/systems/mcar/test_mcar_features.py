"""Features of MCAR for a linear classifier."""

from __future__ import annotations

import torch
from examples_mcar import MCAR
from helpers.small_models import PLAIN
from helpers.view_lab import build

from mmmlc.models.features import image_features


@torch.no_grad()
def test_features_are_those_of_the_plain_classifier():
    images = torch.randn(2, 3, 64, 64)
    expected = image_features(build(PLAIN), images)
    torch.testing.assert_close(image_features(build(MCAR), images), expected)
