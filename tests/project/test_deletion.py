"""Each system can be deleted: what is left imports, builds its configs and passes its tests."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.places import system_names
from helpers.tree_copies import copy_tree, run_in

# The quick tests: of what systems are made of, of the systems, and of the tree as a whole. The ops
# lie below the systems and know none.
TESTS = [
    'models',
    'systems',
    'project/test_layers.py',
    'project/test_reuse.py',
    'engine/test_checkpoints.py::test_every_tool_that_loads_is_tested',
]
QUICK = ('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-m', 'not slow')

pytestmark = pytest.mark.slow


def places(tree: Path, name: str) -> Iterator[Path]:
    """What belongs to a system: its folders, its page, its bases and configs elsewhere, its tools.

    A file with a longer name that starts with the system's is its own, wherever configs and results
    lie; a tool that imports from the system serves it alone.
    """
    yield from (tree / part / name for part in ('mmmlc/systems', 'configs', 'tests/systems'))
    yield tree / f'docs/{name}.md'
    for root in ('configs', 'docs/results'):
        yield from (p for p in (tree / root).rglob('*') if re.match(rf'{name}[._-]', p.name))
    imports = re.compile(rf'^(from|import) mmmlc\.systems\.{name}\b', re.MULTILINE)
    tools = (tree / 'tools').rglob('*.py')
    yield from (path for path in tools if imports.search(path.read_text()))


def delete(tree: Path, name: str) -> None:
    """Delete a system."""
    found = [path for path in places(tree, name) if path.exists()]
    assert len(found) > 3
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@pytest.mark.parametrize('name', system_names())
def test_system_can_be_deleted(name, tmp_path):
    """Copy the tree, delete a system, import, build and test what is left."""
    tree = tmp_path / name
    delete(copy_tree(tree), name)
    output = run_in(tree, '-W', 'ignore', 'tests/project/check_tree.py')
    modules, configs = map(int, re.findall(r'(\d+) modules, (\d+) configs', output)[0])
    assert modules > 80 and configs > 40
    run_in(tree, 'tools/ledger.py')  # tables and lists of what is left
    output = run_in(tree, *QUICK, *(f'tests/{test}' for test in TESTS))
    (passed,) = re.findall(r'(\d+) passed', output)
    assert int(passed) > 500 and f'systems/{name}' not in output
    shutil.rmtree(tree)
