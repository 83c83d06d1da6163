"""Every config builds, and keeps the rules of configs/README.md."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from helpers.places import ROOT
from helpers.small_data import write_dataset, write_proposals
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmmlc.dependencies import require_mmdet
from mmmlc.registry import MODELS

FOLDER = ROOT / 'configs'
CONFIGS = sorted(p for p in FOLDER.glob('*/*.py') if p.parent.name != '_base_')
SYSTEMS = sorted({path.parent.name for path in CONFIGS})
# Data with a recipe whose name ends with the side of its images.
SQUARE = sorted(FOLDER.glob('_base_/datasets/*_bs*[0-9][0-9][0-9].py'))
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.fixture
def no_initialisation(monkeypatch):
    """Weights are allocated and never written: memory that nobody touches costs nothing."""
    for layer in (torch.nn.Linear, torch.nn.modules.conv._ConvNd):
        monkeypatch.setattr(layer, 'reset_parameters', lambda self: None)


def needs_mmdet() -> None:
    try:
        require_mmdet()
    except ImportError as error:
        pytest.skip(f'the config needs mmdet: {error}'.split('\n')[0])


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_builds(path, no_initialisation, tmp_path):
    """The model at full size and the transforms."""
    cfg = Config.fromfile(path)
    if cfg.model.get('head', {}).get('num_classes', 0) is None:  # counted: test_finetune_page
        cfg.model.head.num_classes = 20
    if any(kind.startswith('mmdet.') for kind in _types(cfg.model.to_dict())):
        needs_mmdet()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        MODELS.build(cfg.model)
    for loader in filter(None, map(cfg.get, LOADERS)):
        for transform in loader.dataset.pipeline:
            if transform.type == 'mmmlc.LoadProposals':
                transform.file = write_proposals(tmp_path / 'proposals', 'images', ['a.jpg'])
        Compose(loader.dataset.pipeline)


@pytest.mark.parametrize('path', SQUARE, ids=lambda path: path.stem)
def test_data_sets_give_images_of_their_size(path, tmp_path):
    cfg = Config.fromfile(path)
    side = int(path.stem[-3:])
    for key in LOADERS:
        if cfg.get(key) is None:
            assert 'voc12' in path.stem and key == 'val_dataloader'
            continue
        write_dataset(tmp_path, cfg[key].dataset, num_classes=80)
        sample = DATASETS.build(cfg[key].dataset)[0]
        if 'crop' not in path.stem or key != 'train_dataloader':
            assert sample['inputs'].shape == (3, side, side)
        else:  # a crop, 64 pixels smaller
            assert sample['inputs'].shape == (3, side - 64, side - 64)
        hidden = 'voc12' in path.stem and key == 'test_dataloader'
        assert ('gt_label' in sample['data_samples']) != hidden


# --- the rules


def _types(node):
    if isinstance(node, dict):
        if isinstance(node.get('type'), str):
            yield node['type']
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _types(child)


def bases(path: Path) -> list[Path]:
    """The files that a config names in ``_base_``."""
    found = re.search(r"^_base_ = ('.*?'|\[.*?\])", path.read_text(), re.DOTALL | re.MULTILINE)
    names = re.findall("'(.*?)'", found[1]) if found else []
    return [(path.parent / name).resolve() for name in names]


def levels(path: Path) -> int:
    """How many levels of bases lie below a config."""
    return max((1 + levels(base) for base in bases(path)), default=0)


def below(path: Path) -> set[Path]:
    """All files that a config is made of, but for itself."""
    return {found for base in bases(path) for found in (base, *below(base))}


def starts_with(name: str, system: str) -> bool:
    return re.match(rf'{system}[._-]', name) is not None


def is_data(path: Path) -> bool:
    """Whether a base says what a data set is, without a recipe."""
    if path.parent.name != 'datasets':
        return False
    return 'pipeline' not in Config.fromfile(path).train_dataloader.dataset


def misnamed(folder: Path) -> list[str]:
    """Bases of one system without its name, and those of several with a system's name."""
    users: dict[Path, set[str]] = {path: set() for path in (folder / '_base_').rglob('*.py')}
    for config in folder.glob('[!_]*/*.py'):
        for base in below(config):
            users[base].add(config.parent.name)
    systems = {path.name for path in folder.iterdir() if path.is_dir()} - {'_base_'}
    wrong = []
    for base, of in users.items():
        owner = {system for system in systems if starts_with(base.name, system)}
        wanted = of if len(of) == 1 and not is_data(base) else set()
        if owner != wanted:
            wrong.append(f'{base.name}: used by {sorted(of)}, named after {sorted(owner)}')
    return wrong


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_keeps_the_rules(path):
    """Scoped types, at most two levels of bases, a first comment, and no number of classes."""
    unscoped = [t for t in _types(Config.fromfile(path).to_dict()) if '.' not in t]
    # mmengine and mmdet look these up by name, not in a registry.
    assert set(unscoped) <= {'Pretrained', 'RoIAlign', 'nms'}
    assert 1 <= levels(path) <= 2
    assert path.read_text().startswith('# ')
    assert not re.search(r'num_classes=\d', path.read_text())


def test_bases_are_named_after_the_one_system_that_uses_them():
    assert misnamed(FOLDER) == []


def test_a_misnamed_base_is_found(tmp_path):
    shutil.copytree(FOLDER, tmp_path / 'configs')
    (tmp_path / 'configs/new').mkdir()
    schedule = tmp_path / 'configs/_base_/schedules'
    (schedule / 'slow.py').write_text('train_cfg = dict(max_epochs=900)\n')
    (schedule / 'new_used_by_sca.py').write_text('train_cfg = dict(max_epochs=9)\n')
    for name, base in (('new/a.py', 'slow.py'), ('sca/b.py', 'new_used_by_sca.py')):
        (tmp_path / 'configs' / name).write_text(f"_base_ = '../_base_/schedules/{base}'\n")
    assert sorted(misnamed(tmp_path / 'configs')) == [
        "new_used_by_sca.py: used by ['sca'], named after ['new']",
        "slow.py: used by ['new'], named after []",
    ]


@pytest.mark.parametrize('system', SYSTEMS)
def test_a_system_can_be_deleted(system):
    """No other config is made of its files, so that the others stay what they are."""
    left = [path for path in CONFIGS if path.parent.name != system]
    assert len(left) < len(CONFIGS)
    for path in left:
        assert not [base.name for base in below(path) if starts_with(base.name, system)], path


def test_bases_are_all_that_a_config_is_made_of(monkeypatch):
    """What is found in the text is what mmengine reads."""
    for path in CONFIGS[:: len(CONFIGS) // 8]:
        read: set[Path] = set()
        load = Config._file2dict

        def noted(filename, *args, read=read, load=load, **kwargs):
            read.add(Path(filename).resolve())
            return load(filename, *args, **kwargs)

        monkeypatch.setattr(Config, '_file2dict', noted)
        Config.fromfile(path)
        monkeypatch.undo()
        assert read == {path, *below(path)}


def test_a_system_can_be_added(tmp_path, no_initialisation):
    """By new files alone: a model, data with a recipe and a config."""
    copy = Path(shutil.copytree(FOLDER, tmp_path / 'configs'))
    (copy / 'sixth').mkdir()
    (copy / '_base_/models/sixth_r18.py').write_text(
        "_base_ = './toy.py'\n"
        "model = dict(type='mmpretrain.ImageClassifier', backbone=_base_.toy_resnet,\n"
        "    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=64),\n"
        '    data_preprocessor=_base_.toy_norm)\n'
    )
    (copy / '_base_/datasets/sixth_voc07_bs4_64.py').write_text(
        "_base_ = './voc07.py'\n"
        "pipeline = [dict(type='mmmlc.LoadImage'), dict(type='mmmlc.PackInputs')]\n"
        'train_dataloader = dict(batch_size=4, dataset=dict(pipeline=pipeline))\n'
        'val_dataloader = dict(dataset=dict(pipeline=pipeline))\n'
        'test_dataloader = val_dataloader\n'
    )
    names = ['models/sixth_r18', 'datasets/sixth_voc07_bs4_64', 'schedules/toy_onecycle_5e']
    names.append('runtimes/cpu')
    lines = [f"    '../_base_/{name}.py'," for name in names]
    config = copy / 'sixth/sixth_r18_voc07.py'
    config.write_text(
        '\n'.join(
            ['_base_ = [', *lines, ']', 'model = dict(head=dict(num_classes=_base_.num_classes))']
        )
    )
    assert misnamed(copy) == [] and levels(config) == 2
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        assert MODELS.build(cfg.model).head.num_classes == 20


def test_nothing_stands_twice():
    """Addresses, mean and deviation of images, and recipes in data files."""
    files = {path: path.read_text() for path in FOLDER.rglob('*.py')}
    addresses = Counter()
    norms = Counter()
    for text in files.values():
        joined = re.sub(r"'\s*\n\s*'", '', text)
        addresses.update(re.findall(r"'(https://[^']*)'", joined))
        norms.update(re.findall(r'mean=(\[.*?\]),\s*std=(\[.*?\])', text))
    assert len(addresses) > 4 and set(addresses.values()) == {1}
    assert len(norms) > 3 and set(norms.values()) == {1}
    data = [path for path in files if '_base_' in path.parts and is_data(path)]
    assert len(data) > 4
    for path in data:
        cfg = Config.fromfile(path)
        assert 'num_classes' in cfg and 'batch_size' not in cfg.train_dataloader
        metric = cfg.test_evaluator
        assert metric.get('threshold', 0.5) == 0.5
