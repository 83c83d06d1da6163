"""Tests that need a package which an installation may leave out, or hardware."""

from __future__ import annotations

import pytest
import torch

from mmmlc.dependencies import require_mmdet


def mmdet_problem() -> ImportError | None:
    """Why mmdet does not run here, None where it does."""
    try:
        require_mmdet()
    except ImportError as error:
        return error
    return None


def needs_mmdet() -> None:
    """Skip where mmdet does not run."""
    if error := mmdet_problem():
        pytest.skip(f'needs mmdet: {error}'.split('\n')[0])


def needs_gpu(test):
    """Decorator: a test that needs a GPU."""
    skipped = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
    return pytest.mark.gpu(skipped(test))
