"""What the systems bring for the tests that everything of their kind has to pass.

``tests/systems/<name>/examples_<name>.py`` may hold, beside a list of configs for each registry
node (``MODELS``, ``METRICS``, ``HOOKS`` ...), a config for every part that it registers:

- ``NEED_MMDET``: those of them that are built only where mmdet runs.
- ``CLASSIFIERS``: by name, :class:`helpers.small_models.Classifier`.
- ``CHECKPOINT_TOOLS``: by name, how a tool of the system is given a checkpoint: a function of a
  config's path and the checkpoint's that returns the words of the command line; ``OTHER_MODEL``,
  those of them that work on no other model.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from .places import ROOT
from .small_models import PLAIN, QUERY_HEAD, Classifier


@cache
def system_examples() -> tuple[ModuleType, ...]:
    """The modules of examples, sorted by the systems' names."""
    found = []
    for path in sorted((ROOT / 'tests/systems').glob('*/examples_*.py')):
        if str(path.parent) not in sys.path:  # as pytest does for tests
            sys.path.insert(0, str(path.parent))
        found.append(importlib.import_module(Path(path).stem))
    return tuple(found)


def classifiers() -> dict[str, Classifier]:
    """Those of all systems, the plain one, and one with a query decoder."""
    queries = PLAIN | dict(head=QUERY_HEAD)
    found = {'plain': Classifier(PLAIN), 'queries': Classifier(queries)}
    for module in system_examples():
        found |= getattr(module, 'CLASSIFIERS', {})
    return found
