"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.places import ROOT

collect_ignore = ['project/sixth_system']  # its test runs in a copy of the tree


def pytest_collection_finish() -> None:
    """mmengine collects garbage for each data set: spare it what all the imports have left."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every run: rounding decides which pixel a region ends at."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope='session')
def root() -> Path:
    """The checkout."""
    return ROOT
