"""What a test needs that not every environment has."""

from __future__ import annotations

import pytest

from mmmlc.dependencies import require_mmdet


def needs_mmdet() -> None:
    """Skip where mmdet or its operators are missing."""
    try:
        require_mmdet()
    except ImportError as error:
        pytest.skip(f'the config needs mmdet and its operators: {error}'.split('\n')[0])
