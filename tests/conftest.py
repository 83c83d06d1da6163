"""Fixtures shared by all tests: paths, and the optional folder of real images and vectors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get('MMMLC_SHARED', ROOT.parent / 'shared'))


@pytest.fixture(scope='session')
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder with real images (``data/``) and reference outputs (``vectors/``)."""
    if not (SHARED / 'data').is_dir():
        pytest.skip(f'no reference data at {SHARED}: set MMMLC_SHARED to the folder that holds it')
    return SHARED
