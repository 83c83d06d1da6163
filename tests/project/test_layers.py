"""Imports go in one direction, systems do not see each other, and tensor functions need torch."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.import_graph import Import, find_cycles, read_imports
from helpers.places import ROOT, system_names

# From the bottom up; what stands in one row does not import each other, unless it is the first row.
LAYERS = [
    [
        'aliases',
        'cli',
        'dependencies',
        'lazy',
        'mmcv_ops',
        'neutral',
        'plots',
        'registry',
        'safe_pickle',
        'toy_scenes',
        'whole_files',
    ],
    ['ops'],
    ['datasets'],
    ['proposals'],
    ['evaluation', 'visualization'],
    ['models'],
    ['engine'],
    ['data_report', 'ready'],
    ['systems'],
]
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
IMPORTS = read_imports(ROOT, 'mmmlc')
# What a tensor function may import beside the standard library.
LIGHT = {'mmmlc', 'mmmlc.ops', 'mmmlc.lazy', 'numpy', 'torch', *sys.stdlib_module_names}


def part(module: str) -> str:
    """``mmmlc.ops.boxes`` is in ``ops``, ``mmmlc`` itself in ``''``."""
    return (module.split('.') + [''])[1]


def system(module: str) -> str | None:
    """The system that a module belongs to."""
    found = re.match(r'mmmlc\.systems\.(\w+)', module)
    return found[1] if found and found[1] != 'all' else None


def wrong_directions(imports: list[Import]) -> list[str]:
    """Imports of something above, beside, or in another system, as text."""
    wrong = []
    for module, target, line, _ in imports:
        here, there = part(module), part(target)
        if not target.startswith('mmmlc.') or not here:
            continue
        same = here == there and system(module) == system(target)
        shared = {here, there} <= set(LAYERS[0]) or 'all' in (module.split('.')[-1],)
        if not same and not shared and not LEVELS.get(there, 99) < LEVELS.get(here, 99):
            wrong.append(f'{module}, line {line}, imports {target}')
    return wrong


def loops(imports: list[Import], *when: str) -> list[list[str]]:
    """Modules of mmmlc that import each other."""
    return find_cycles(
        {(i.module, i.target) for i in imports if i.when in when and i.target.startswith('mmmlc')}
    )


def light_modules(imports: list[Import], *phases: str) -> set[str]:
    """Modules of ops and systems that need torch, numpy and light modules alone in some phases."""
    needs: dict[str, set[str]] = {}
    for module, target, _, when in imports:
        needs.setdefault(module, set()).update([target] if when in phases else [])
    found = {m for m in needs if system(m)} | {m for m in needs if part(m) == 'ops'}
    while True:
        kept = {m for m in found if all(_is_light(t, found) for t in needs[m])}
        if kept == found:
            return found
        found = kept


def _is_light(target: str, light: set[str]) -> bool:
    return target in light or target in LIGHT or target.split('.')[0] in LIGHT - {'mmmlc'}


def test_every_part_has_a_layer():
    assert {part(i.module) for i in IMPORTS} - {''} <= LEVELS.keys()


def test_imports_go_down():
    assert not wrong_directions(IMPORTS)


def test_no_module_imports_itself_in_the_end():
    """Neither while loading nor while running; types alone may refer to each other."""
    assert not loops(IMPORTS, 'loading', 'calling')


def test_loops_of_types_stay_in_one_package(record_property):
    found = loops(IMPORTS, 'loading', 'calling', 'typing')
    record_property('loops_of_types', found)
    assert all(len({m.rpartition('.')[0] for m in loop}) == 1 for loop in found), found


PLANTED = {
    'ops/up.py': 'def late():\n    from mmmlc.models import heads\n',
    'models/heads.py': 'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import b\n',
    'models/b.py': 'from .heads import Head\n',
    'systems/one/a.py': 'import torch\nfrom ..two import x\nfrom mmmlc.ops.fine import f\n',
    'systems/two/x.py': 'import numpy\nfrom . import y\n',
    'systems/two/y.py': 'def late():\n    import mmengine\n    from .x import z\n',
    'visualization/v.py': 'from mmmlc import evaluation\n',
    'evaluation/e.py': 'import mmengine\n',
    'ops/fine.py': 'import math\nimport torch.nn\n',
}


def test_planted_violations_are_found(tmp_path):
    for name, text in PLANTED.items():
        path = tmp_path / 'mmmlc' / name
        for folder in [tmp_path / 'mmmlc', *path.parents[: len(Path(name).parts) - 1]]:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / '__init__.py').touch()
        path.write_text(text)
    imports = read_imports(tmp_path, 'mmmlc')
    assert sorted(wrong_directions(imports)) == [
        'mmmlc.ops.up, line 2, imports mmmlc.models.heads',
        'mmmlc.systems.one.a, line 2, imports mmmlc.systems.two.x',
        'mmmlc.visualization.v, line 1, imports mmmlc.evaluation',
    ]
    assert loops(imports, 'loading') == []
    late = ['mmmlc.systems.two.x', 'mmmlc.systems.two.y']
    assert loops(imports, 'loading', 'calling') == [late]
    typed = ['mmmlc.models.b', 'mmmlc.models.heads']
    assert loops(imports, 'loading', 'calling', 'typing') == [typed, late]
    # y imports OpenMMLab when it is called, not when it is loaded.
    light = {'ops.fine', 'ops.up', 'systems.one.a', 'systems.two.x', 'systems.two.y'}
    assert light_modules(imports, 'loading') == {f'mmmlc.{name}' for name in light}
    light -= {'ops.up', 'systems.one.a', 'systems.two.x', 'systems.two.y'}
    assert light_modules(imports, 'loading', 'calling') == {f'mmmlc.{name}' for name in light}


# Without the other packages

ALONE = """
import doctest, importlib, importlib.metadata, re, sys

wanted, waiting = set(), ['torch', 'numpy']
while waiting:
    name = re.sub(r'[-_.]+', '-', waiting.pop()).lower()
    if name not in wanted:
        wanted.add(name)
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [re.match(r'[\\w.-]+', n)[0] for n in needs if 'extra ==' not in n]
blocked = {
    package
    for package, names in importlib.metadata.packages_distributions().items()
    if not wanted & {re.sub(r'[-_.]+', '-', name).lower() for name in names}
} - {'mmmlc'}
assert {'torchvision', 'mmengine', 'mmcv', 'mmpretrain', 'scipy', 'cv2', 'PIL'} <= blocked, blocked

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in blocked:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Refusal())
for word in sys.argv[1:]:
    name, _, mode = word.partition(':')
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module) if mode == 'call' else (0, 0)
    assert not failed, name
    print(name, tried)
"""


def run_python(code: str, *words: str, options: tuple[str, ...] = ()):
    path = f'import sys; sys.path.insert(0, {str(ROOT)!r})\n'
    command = [sys.executable, '-E', *options, '-c', path + code, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent)


def test_tensor_functions_need_torch_and_numpy_alone():
    """Every other installed package is hidden, and the examples of their docstrings run.

    Not those of functions that import another package when they are called, as RoI pooling does.
    """
    loaded = light_modules(IMPORTS, 'loading')
    called = light_modules(IMPORTS, 'loading', 'calling')
    words = [f'{name}:{"call" if name in called else "load"}' for name in sorted(loaded)]
    result = run_python(ALONE, *words)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    tried = {name: int(n) for name, n in map(str.split, result.stdout.splitlines())}
    assert tried.keys() == loaded and tried['mmmlc.ops.boxes'] > 5


def test_ops_are_all_light():
    ops = {i.module for i in IMPORTS if part(i.module) == 'ops'}
    assert ops and ops <= light_modules(IMPORTS, 'loading')


@pytest.mark.parametrize('name', system_names())
def test_systems_start_with_tensor_functions(name):
    """What a system's docstring says to read first; see test_tensor_functions_need_... above."""
    text = importlib.import_module(f'mmmlc.systems.{name}').__doc__
    first = re.search(r'To read in this order:.*?``(\w+)``', text, re.DOTALL)[1]
    assert f'mmmlc.systems.{name}.{first}' in light_modules(IMPORTS, 'loading')


def test_nothing_is_needed_to_import_the_package():
    """Of Python without any package; whoever wants more hears what is missing."""
    result = run_python('import mmmlc; print(mmmlc.__version__)', options=('-S',))
    assert result.returncode == 0, result.stderr
    result = run_python('import mmmlc.registry', options=('-S',))
    assert result.returncode != 0
    for name in ('torch', 'mmengine', 'mmcv', 'mmpretrain'):
        assert f'- {name} is missing\n    python -m pip install ' in result.stderr
    assert 'tools/install.sh' in result.stderr
