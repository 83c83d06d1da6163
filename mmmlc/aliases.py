"""Names of version 0.1 that documents gave, and what they are called now.

Import paths: both names give the same module. Fields of predictions: both names give the same
tensor. New code takes the new names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.structures import BaseDataElement

MODULES = {
    'mmmlc.apis': 'mmmlc.engine',
    'mmmlc.hooks': 'mmmlc.engine.hooks',
    'mmmlc.ops.attention': 'mmmlc.systems.rdal.attention',
    'mmmlc.ops.patches': 'mmmlc.systems.sca.patches',
    'mmmlc.ops.regions': 'mmmlc.systems.mcar.regions',
}

# By field of a sample: the old name of what is in it now.
FIELDS = {
    'pred_instances': {
        'regions': 'input_bboxes',
        'regions_original': 'bboxes',
        'region_labels': 'labels',
        'region_scores': 'scores',
        'region_views': 'views',
        'contexts': 'input_contexts',
        'contexts_original': 'contexts',
    },
    'pred_patches': {
        'patches': 'input_proposals',
        'patch_boxes': 'input_bboxes',
        'patch_scores': 'scores',
    },
}


def set_old_fields(sample: BaseDataElement) -> None:
    """Write the old names beside the new ones, for the same tensors."""
    for field, names in FIELDS.items():
        if field not in sample:
            continue
        for old, new in names.items():
            if new in sample.get(field):
                sample.set_field(sample.get(field)[new], old)


def new_fields(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample, as a mapping, in which what has only old names has the new ones, too."""
    found = dict(sample)
    for field, names in FIELDS.items():
        given = {new: sample[old] for old, new in names.items() if old in sample}
        if given:
            found.setdefault(field, given)
    return found


class AliasFinder(MetaPathFinder, Loader):
    """Finds old names of modules, and of modules in them; see the top of the file."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old name, None for every other."""
        # As a package, so that what is in it can be looked for while it is being imported.
        known = new_name(fullname) is not None
        return ModuleSpec(fullname, self, is_package=True) if known else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the one that was to be filled."""
        name = module.__name__
        found = importlib.import_module(new_name(name) or '')
        sys.modules[name] = found
        # Another thread, which waits for this import, may hold the other one.
        vars(module).update(vars(found))


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
