"""SCA-DNN goes on exactly where it was killed, and samples the patches it would have sampled."""

from __future__ import annotations

import pytest
from helpers.optional import needs_mmdet
from helpers.resumes import kill_and_resume

pytestmark = pytest.mark.slow


def test_killed(tmp_path):
    needs_mmdet()
    kill_and_resume('sca/sca_r18_toy.py', tmp_path)
