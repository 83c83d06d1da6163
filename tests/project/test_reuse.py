"""Every part is built by its name from configs of other packages, and the page of examples runs."""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from pathlib import Path
from unittest.mock import MagicMock

import mmengine.registry as root_registries
import pytest
import reuse_examples
import torch
from mmengine.registry import DefaultScope

import mmmlc.registry as ours
from mmmlc.dependencies import require_mmdet

PAGE = (Path(__file__).resolve().parents[2] / 'docs/reuse.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
NODES = ['MODELS', 'DATASETS', 'DATA_SAMPLERS', 'TRANSFORMS', 'METRICS', 'HOOKS']


def registered(node: str) -> set[str]:
    registry = getattr(ours, node)
    registry.import_from_location()
    return {f'mmmlc.{name}' for name in registry.module_dict}


def mmdet_problem() -> ImportError | None:
    try:
        require_mmdet()
    except ImportError as error:
        return error
    return None


@pytest.fixture(params=[None, 'mmengine', 'mmpretrain', 'mmdet'], ids=str)
def scope(request, monkeypatch) -> str | None:
    """The default scope, as a runner sets it from the config; other tests' scopes are hidden."""
    if request.param == 'mmdet':
        if error := mmdet_problem():
            pytest.skip(f'mmdet does not run here: {error}')
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
    if node in ('DATASETS', 'TRANSFORMS'):
        return getattr(reuse_examples, node.lower())(folder)
    return getattr(reuse_examples, node)


def test_no_registry_is_forgotten():
    found = {name for name, node in vars(ours).items() if isinstance(node, ours.root.Registry)}
    assert found == set(NODES)


@pytest.mark.parametrize('node', NODES)
def test_parts_are_built_by_name(node, scope, tmp_path):
    """By mmengine's root registry, which every package's own one asks."""
    built = set()
    for config in examples(node, tmp_path):
        if config['type'] in reuse_examples.NEED_MMDET and mmdet_problem():
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
    # A new part needs an example in tests/reuse_examples.py.
    assert built == registered(node)


@pytest.mark.parametrize('block', range(len(BLOCKS)))
def test_page_runs(block, scope):
    torch.manual_seed(0)
    exec(compile(BLOCKS[block], f'docs/reuse.md, block {block + 1}', 'exec'), {})


def test_page_lists_every_part():
    for node in NODES:
        for name in registered(node):
            assert f'| `{name}` | `{node}` |' in PAGE
