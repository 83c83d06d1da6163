"""MCAR goes on exactly where it was killed."""

from __future__ import annotations

import pytest
from helpers.resumes import kill_and_resume

pytestmark = pytest.mark.slow


def test_killed(tmp_path):
    kill_and_resume('mcar/mcar_r18_toy.py', tmp_path)
