"""Every config builds as published; one of each kind takes a training step and validates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from helpers.small_data import write_dataset, write_for, write_proposals
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmmlc.dependencies import require_mmdet
from mmmlc.engine.launch import build_runner, load_config
from mmmlc.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').glob('*/*.py') if p.parent.name != '_base_')
# Sizes differ in the pipeline alone and ResNet-101 from ResNet-50 in depth: test_config_builds.
STEPS = [p for p in CONFIGS if p.parent.name == 'mcar' and not re.search('-[0-9t]|r101', p.stem)]
NAME = re.compile(r'(mcar|baseline)_(mbv2|r50|r101)_(voc07|voc12|coco)(?:-(256|288|test576|gap))?')
PUBLISHED = [p for p in CONFIGS if NAME.fullmatch(p.stem)]
DATA = ['coco14_256', 'coco14_288', 'coco14_448', 'coco14_448_test576', 'coco17_448']
DATA += ['voc07_256', 'voc07_448', 'voc12_448']
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def shrink(cfg: Config, work_dir: Path) -> Config:
    """One small step, without downloads."""
    cfg.model.backbone.init_cfg = None
    for loader in filter(None, map(cfg.get, LOADERS)):
        for transform in loader.dataset.pipeline:
            if transform.type == 'mmpretrain.Resize':
                transform.scale = (64, 64)
    write_for(cfg, work_dir / 'data')
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.work_dir = str(work_dir / 'work')
    return cfg


@pytest.mark.parametrize('path', STEPS, ids=lambda path: path.stem)
def test_config_takes_a_step(path, tmp_path):
    cfg = shrink(load_config(path, work_dir=tmp_path), tmp_path)
    lr = cfg.optim_wrapper.optimizer.lr
    runner = build_runner(cfg)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    changed = [k for k, v in runner.model.named_parameters() if not torch.equal(v, before[k])]
    assert 'head.classifier.weight' in changed
    assert next(k for k, _ in runner.model.named_parameters()) in changed  # the stem
    assert all(torch.isfinite(v).all() for v in runner.model.state_dict().values())
    if path not in PUBLISHED:
        return
    rates = {group['lr'] for group in runner.optim_wrapper.param_groups}
    assert rates == ({0.01, 0.1} if path.stem.endswith('-gap') else {0.001, 0.01})
    assert lr == min(rates)


@pytest.fixture
def no_initialisation(monkeypatch):
    """Weights are allocated and never written: memory that nobody touches costs nothing."""
    for layer in (torch.nn.Linear, torch.nn.modules.conv._ConvNd):
        monkeypatch.setattr(layer, 'reset_parameters', lambda self: None)


def needs_mmdet() -> None:
    try:
        require_mmdet()
    except ImportError as error:
        pytest.skip(f'the config needs mmdet and compiled operators: {error}'.split('\n')[0])


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_builds(path, no_initialisation, tmp_path):
    """The model at full size and the transforms."""
    cfg = Config.fromfile(path)
    if cfg.model.get('head', {}).get('num_classes', 0) is None:  # counted: test_finetune_page
        cfg.model.head.num_classes = 20
    if 'mmdet.' in path.read_text():
        needs_mmdet()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).to('meta')
    for loader in filter(None, map(cfg.get, LOADERS)):
        for transform in loader.dataset.pipeline:
            if transform.type == 'mmmlc.LoadProposals':
                transform.file = write_proposals(tmp_path / 'proposals', 'images', ['a.jpg'])
        Compose(loader.dataset.pipeline)
    if path.parent.name == 'mcar':
        features = model.extract_feat(torch.empty(2, 3, 96, 96, device='meta'))
        assert features[-1].shape[1] == cfg.model.head.in_channels
        assert model.head(features).shape == (2, cfg.model.head.num_classes)


@pytest.mark.parametrize('name', DATA)
def test_data_sets_give_images_of_their_size(name, tmp_path):
    cfg = Config.fromfile(ROOT / f'configs/_base_/{name}.py')
    for key in LOADERS:
        if cfg.get(key) is None:
            assert name == 'voc12_448' and key == 'val_dataloader'
            continue
        write_dataset(tmp_path, cfg[key].dataset, num_classes=80)
        sample = DATASETS.build(cfg[key].dataset)[0]
        side = 576 if 'test576' in name and key == 'test_dataloader' else int(name.split('_')[1])
        assert sample['inputs'].shape == (3, side, side)
        hidden = name == 'voc12_448' and key == 'test_dataloader'
        assert ('gt_label' in sample['data_samples']) != hidden


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_keeps_the_rules(path):
    """Scoped types, and at most two levels of ``_base_`` above which the model stands in full."""
    cfg = Config.fromfile(path)
    unscoped = [t for t in _types(cfg.to_dict()) if '.' not in t]
    # mmengine and mmdet look these up by name, not in a registry.
    assert set(unscoped) <= {'Pretrained', 'RoIAlign', 'nms'}
    assert 'model = dict(' in path.read_text()
    assert _depth(path) <= 3


def _types(node):
    if isinstance(node, dict):
        if isinstance(node.get('type'), str):
            yield node['type']
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _types(child)


def _depth(path: Path) -> int:
    scope: dict = {}
    exec(path.read_text(), scope)
    bases = scope.get('_base_', [])
    bases = [bases] if isinstance(bases, str) else bases
    return 1 + max((_depth(path.parent / base) for base in bases), default=0)


def test_all_published_configs_are_there():
    """Tables I to III, VII and VIII of MCAR."""
    names = {p.stem for p in PUBLISHED}
    sizes = [f'{kind}_{net}_{data}{size}' for kind in ('mcar', 'baseline')
             for net in ('mbv2', 'r50', 'r101') for data in ('voc07', 'coco')
             for size in ('', '-256')]  # fmt: skip
    voc12 = [f'mcar_{net}_voc12' for net in ('mbv2', 'r50', 'r101')]
    special = ['mcar_r101_coco-288', 'mcar_r101_coco-test576']
    special += ['mcar_mbv2_voc07-gap', 'mcar_mbv2_coco-gap']
    assert names == {*sizes, *voc12, *special}


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda path: path.stem)
def test_published_settings(path):
    """MCAR's hyper-parameters (Section IV-A) and the better pooling of Tables VII and VIII."""
    cfg = Config.fromfile(path)
    kind, net, data, variant = NAME.fullmatch(path.stem).groups()
    exception = variant == 'gap'  # in the authors' script: MobileNet-v2 at 448 with GAP
    if kind == 'mcar':
        assert (cfg.model.topn, cfg.model.tau) == (4, 0.5)
    weighted = kind == 'mcar' and (data == 'coco' or net == 'mbv2') and not exception
    assert cfg.model.head.pooling == ('gwp' if weighted else 'gap')
    assert cfg.model.head.num_classes == (80 if data == 'coco' else 20)
    assert cfg.model.head.threshold == 0.6
    assert cfg.optim_wrapper.optimizer == dict(
        type='mmengine.SGD', lr=0.01 if exception else 0.001, momentum=0.9, weight_decay=1e-4
    )
    assert cfg.param_scheduler.milestones == ([10, 30, 50] if exception else [30, 50])
    assert cfg.param_scheduler.gamma == 0.1
    assert cfg.train_cfg.max_epochs == 60
    assert cfg.train_dataloader.batch_size == 16
    assert cfg.train_dataloader.batch_sampler.type == 'mmmlc.TotalBatchSampler'
    train = [t.type for t in cfg.train_dataloader.dataset.pipeline]
    assert train[1:4] == ['mmpretrain.Resize', 'mmmlc.RandomFlip', 'mmpretrain.ColorJitter']
    jitter = cfg.train_dataloader.dataset.pipeline[3]
    assert jitter.brightness == jitter.contrast == jitter.saturation == 0.3
    side = int(variant) if variant in ('256', '288') else 448
    sides = dict.fromkeys(LOADERS, side)
    if variant == 'test576':
        sides['test_dataloader'] = 576
    for key in LOADERS:
        if cfg[key] is not None:
            assert cfg[key].dataset.pipeline[1].scale == (sides[key],) * 2
    _check_split(cfg, data)


def _check_split(cfg: Config, data: str) -> None:
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    if data == 'coco':
        assert 'train2014' in train.ann_file and 'val2014' in test.ann_file
    else:
        assert (train.split, test.split) == ('trainval', 'test')
        assert train.data_root == test.data_root == f'data/VOCdevkit/VOC20{data[3:]}'
    if data != 'voc12':
        assert cfg.test_evaluator.threshold == 0.6
        return
    assert cfg.val_dataloader is cfg.val_evaluator is cfg.val_cfg is None
    assert test.with_labels is False
    assert cfg.test_evaluator.type == 'mmmlc.VOCServerFiles'
    assert cfg.test_evaluator.num_images == 10991


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda path: path.stem)
def test_table_of_configs(path):
    """The page names each config with the number in its first comment."""
    comment = path.read_text().partition('_base_')[0].replace('\n#', '')
    number = re.search(r'The paper:\s+([\d.]+) mAP', comment)[1]
    page = (ROOT / 'configs/mcar/README.md').read_text()
    (row,) = (row for row in page.splitlines() if row.startswith(f'| `{path.name}` |'))
    assert number in [cell.strip() for cell in row.split('|')]
