"""Every part is built by its name from configs of other packages, and the pages' examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from unittest.mock import MagicMock

import mmengine.registry as root_registries
import pytest
import shared_examples
import torch
from helpers.examples import system_examples
from helpers.optional import mmdet_problem
from helpers.places import CONFIGS, DOCS, ROOT, system_names
from mmengine.registry import DefaultScope

import mmmlc.registry as ours

NODES = ['MODELS', 'DATASETS', 'DATA_SAMPLERS', 'TRANSFORMS', 'METRICS', 'HOOKS']


def pages() -> list[Path]:
    """The page of shared parts, and those of the systems, which may list their own."""
    own = [p for n in system_names() for p in (DOCS / f'{n}.md', CONFIGS / n / 'README.md')]
    return [DOCS / 'reuse.md', *filter(Path.is_file, own)]


def blocks() -> dict[str, str]:
    """Python of the pages that stands alone, by page and number; the rest are parts of configs."""
    found = {}
    for page in pages():
        texts = re.findall(r'```python\n(.*?)```', page.read_text(), re.DOTALL)
        for number, text in enumerate(t for t in texts if t.startswith(('import ', 'from '))):
            found[f'{page.relative_to(ROOT)}-{number + 1}'] = text
    return found


def registered(node: str) -> set[str]:
    registry = getattr(ours, node)
    registry.import_from_location()
    return {f'mmmlc.{name}' for name in registry.module_dict}


@pytest.fixture(params=[None, 'mmengine', 'mmpretrain', 'mmdet'], ids=str)
def scope(request, monkeypatch) -> str | None:
    """The default scope, as a runner sets it from the config; other tests' scopes are hidden."""
    if request.param == 'mmdet':
        if error := mmdet_problem():
            pytest.skip(f'needs mmdet: {error}'.split('\n')[0])
        # Two of its transforms import imgaug, which mmmlc's installation leaves out.
        for name in ('', '.augmenters', '.augmentables.lines', '.augmentables.segmaps'):
            monkeypatch.setitem(sys.modules, f'imgaug{name}', MagicMock())
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
    if request.param is not None:
        DefaultScope.get_instance('reuse', scope_name=request.param)
    current = DefaultScope.get_current_instance()
    assert (current and current.scope_name) == request.param
    return request.param


def examples(node: str, folder: Path) -> list[dict]:
    """Configs of the shared parts and of every system's."""
    shared = getattr(shared_examples, node, None)
    if node in ('DATASETS', 'TRANSFORMS'):
        shared = getattr(shared_examples, node.lower())(folder)
    return [*shared, *(c for module in system_examples() for c in getattr(module, node, ()))]


def need_mmdet() -> set[str]:
    return {name for module in system_examples() for name in getattr(module, 'NEED_MMDET', ())}


def test_no_registry_is_forgotten():
    found = {name for name, node in vars(ours).items() if isinstance(node, ours.root.Registry)}
    assert found == set(NODES)


@pytest.mark.parametrize('node', NODES)
def test_parts_are_built_by_name(node, scope, tmp_path):
    """By mmengine's root registry, which every package's own one asks."""
    built = set()
    for config in examples(node, tmp_path):
        if config['type'] in need_mmdet() and mmdet_problem():
            with pytest.raises(ImportError, match='tools/install.sh'):
                root_registries.MODELS.build(dict(config))
            built.add(config['type'])
            continue
        part = getattr(root_registries, node).build(dict(config))
        assert f'mmmlc.{type(part).__name__}' == config['type']
        built.add(config['type'])
        if node == 'DATASETS':
            sample = part[0]
            assert sample['inputs'].shape[0] == 3 and len(sample['data_samples'].gt_label)
    # A new part needs an example: helpers/examples.py.
    assert built == registered(node)


@pytest.mark.parametrize('block', blocks())
def test_page_runs(block, scope):
    torch.manual_seed(0)
    exec(compile(blocks()[block], f'python block {block}', 'exec'), {})


def test_pages_list_every_part():
    text = ''.join(page.read_text() for page in pages())
    for node in NODES:
        for name in registered(node):
            assert f'| `{name}` | `{node}` |' in text


WITHOUT_MMDET = """
import sys
sys.modules.update({'mmdet': None, 'mmcv._ext': None})
from pathlib import Path
from mmengine.registry import DefaultScope
from mmmlc.registry import MODELS
from test_reuse import examples, need_mmdet
with DefaultScope.overwrite_default_scope('mmpretrain'):
    for config in examples('MODELS', Path()):
        if config['type'] not in need_mmdet():
            MODELS.build(dict(config))
there = [name for name, module in sys.modules.items() if module is not None]
print([name for name in there if name.split('.')[0] == 'mmdet' or name == 'mmcv.ops'])
"""


@pytest.mark.slow
def test_parts_need_neither_mmdet_nor_operators_unless_they_say_so():
    """Both are hidden: an import of either would fail."""
    code = 'import sys; sys.path[:0] = ["tests", "tests/project"]' + WITHOUT_MMDET
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith('[]')
