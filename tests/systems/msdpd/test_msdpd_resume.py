"""MsDPD goes on exactly where it was killed, and mines what it would have mined."""

from __future__ import annotations

from helpers.resumes import kill_and_resume


def test_killed(tmp_path):
    kill_and_resume('msdpd/msdpd_r18_toy.py', tmp_path)
