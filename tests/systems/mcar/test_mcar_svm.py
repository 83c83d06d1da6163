"""Linear classifiers on features of MCAR."""

from __future__ import annotations

import pytest
from helpers.places import CONFIGS
from helpers.svm_lab import learn_two_images

pytestmark = pytest.mark.slow


def test_tool_learns_two_images(tmp_path, monkeypatch):
    path = CONFIGS / 'mcar/mcar_r18_toy.py'
    features, again = learn_two_images(path, tmp_path, monkeypatch, ['--views', 'images'])
    assert features.shape == (2, 16)
    again()
