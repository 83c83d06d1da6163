"""Where things lie in this checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
DATA = ROOT / 'tests/data'
DOCS = ROOT / 'docs'
PACKAGE = ROOT / 'mmmlc'
TOOLS = ROOT / 'tools'
# A plain classifier on ToyScenes that belongs to no system.
TOY_CONFIG = DATA / 'plain_toy.py'


def system_names() -> list[str]:
    """Names of the systems, by their folders."""
    return sorted(path.parent.name for path in (PACKAGE / 'systems').glob('*/__init__.py'))


def tool(name: str) -> ModuleType:
    """A tool as a module; tools import what lies beside them."""
    if str(TOOLS) not in sys.path:
        sys.path.insert(0, str(TOOLS))
    return importlib.import_module(name)
