"""mmcv's operators without a compiler: those that our configs call, computed by torchvision.

A plain ``pip install onedl-mmcv`` has no ``mmcv._ext``, which ``mmdet.models`` needs at import. The
finder serves one, from the file ``operators.py``, where no compiled one is found.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

EXTENSION = 'mmcv._ext'
OPERATORS = Path(__file__).with_name('operators.py')


class OperatorFinder:
    """Finder for ``sys.meta_path`` that knows ``mmcv._ext`` and nothing else."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Spec of the served module; None for other names, and without torchvision."""
        if name != EXTENSION or importlib.util.find_spec('torchvision') is None:
            return None
        # A module put into sys.modules would have no spec, and mmengine asks for the spec.
        return importlib.util.spec_from_file_location(name, OPERATORS)


def install_finder() -> None:
    """Add the finder, once, behind all others: a compiled ``mmcv._ext`` is found before it."""
    if OperatorFinder not in sys.meta_path:
        sys.meta_path.append(OperatorFinder)


def operators_are_compiled() -> bool:
    """Whether ``mmcv._ext``, which mmcv must be there for, is mmcv's own. Imports mmcv."""
    spec = importlib.util.find_spec(EXTENSION)
    return spec is not None and spec.origin != str(OPERATORS)
