"""Fixtures shared by all tests: paths, and the optional folder of real images and vectors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get('MMMLC_SHARED', ROOT.parent / 'shared'))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every run: rounding decides which pixel a region ends at."""
    torch.manual_seed(0)
    np.random.seed(0)


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
