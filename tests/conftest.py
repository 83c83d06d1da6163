"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import cases
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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its counts to the process that prints the closing lines."""
    if hasattr(session.config, 'workeroutput'):
        session.config.workeroutput['generated_cases'] = dict(cases.COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Without counts where the worker crashed, which is a failure of its own."""
    cases.COUNTS.update(getattr(node, 'workeroutput', {}).get('generated_cases', {}))


def pytest_terminal_summary(terminalreporter) -> None:
    """How many generated cases there were, in the closing lines."""
    if cases.COUNTS:
        seed = int(os.environ.get('MMMLC_SEED', cases.SEED))
        terminalreporter.write_line(cases.summary(seed))
