"""Linear classifiers on features of RDAL's regions."""

from __future__ import annotations

import pytest
from helpers.places import CONFIGS
from helpers.svm_lab import learn_two_images

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    'options',
    [['--views', 'features'], ['--raw', '--cfg-options', 'model.head.feature=sampled']],
)
def test_tool_learns_two_images(tmp_path, monkeypatch, options):
    path = CONFIGS / 'rdal/rdal_r18_toy.py'
    features, _ = learn_two_images(path, tmp_path, monkeypatch, options)
    assert features.shape == (2, 256)
