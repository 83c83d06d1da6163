"""Import paths of version 0.1 that documents named, and where their content lies now.

Both names give the same module. New code takes the new one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MODULES = {
    'mmmlc.apis': 'mmmlc.engine',
    'mmmlc.hooks': 'mmmlc.engine.hooks',
    'mmmlc.ops.attention': 'mmmlc.systems.rdal.attention',
    'mmmlc.ops.patches': 'mmmlc.systems.sca.patches',
    'mmmlc.ops.regions': 'mmmlc.systems.mcar.regions',
}


class AliasFinder(MetaPathFinder, Loader):
    """Finds old names of modules, and of modules in them; see the top of the file."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old name, None for every other."""
        return None if new_name(fullname) is None else ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the one that was to be filled."""
        sys.modules[module.__name__] = importlib.import_module(new_name(module.__name__) or '')


def new_name(name: str) -> str | None:
    """Where a module of an old name lies, None where the name is no old one.

    Examples:
        >>> new_name('mmmlc.apis.checkpoints'), new_name('mmmlc.ops.scores')
        ('mmmlc.engine.checkpoints', None)
    """
    for old, new in MODULES.items():
        if name == old or name.startswith(f'{old}.'):
            return new + name.removeprefix(old)
    return None


def install() -> None:
    """Make the old names importable.

    First in the row: the path of an old package is the new one's, where Python would find its
    modules once more and run them under a second name.
    """
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder())
