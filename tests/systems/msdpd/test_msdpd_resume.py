"""MsDPD goes on exactly where it was killed, and mines what it would have mined."""

from __future__ import annotations

import pytest
from helpers.resumes import kill_and_resume

pytestmark = pytest.mark.slow


def test_killed(tmp_path):
    kill_and_resume('msdpd/msdpd_r18_toy.py', tmp_path)


def test_killed_after_mining_again(tmp_path):
    """In epoch 3 of 3, before which parts are mined again: those of the checkpoint stay."""
    within = dict(default_hooks__checkpoint__by_epoch=False, default_hooks__checkpoint__interval=1)
    kill_and_resume('msdpd/msdpd_r18_toy.py', tmp_path, seed=2, **within)  # in the last iteration
