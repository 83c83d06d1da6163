"""Ten views of a student with fully connected layers."""

from __future__ import annotations

import torch
from helpers.small_models import PLAIN, C
from helpers.view_lab import build, reference, samples

from mmmlc.models.features import image_features


@torch.no_grad()
def test_student_gets_views_of_its_size():
    """Images of 64 are loaded for a network of 48."""
    images = torch.randn(2, 3, 64, 64)
    head = dict(type='mmmlc.VGGHead', num_classes=C, in_channels=32, map_size=3, pool=1, width=5)
    student = PLAIN | dict(head=head)
    found = build(student, mode='images', margin=16).predict(images, samples())
    expected = reference(student, images, 16)
    for i, sample in enumerate(found):
        mean = torch.stack([view[i].pred_score for view in expected]).mean(0)
        torch.testing.assert_close(sample.pred_score, mean)
    maps = build(student, mode='features', margin=16)
    assert maps(images).shape == (2, C) and image_features(maps, images).shape == (2, 5)
