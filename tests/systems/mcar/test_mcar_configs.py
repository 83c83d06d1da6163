"""MCAR's configs: the published settings, and one of each kind takes a step and validates.

That each config builds is part of test_configs.py.
"""

from __future__ import annotations

import re

import pytest
import torch
from helpers.places import ROOT
from helpers.small_data import LOADERS, shrink, write_dataset
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmmlc.engine import build_runner, load_config
from mmmlc.registry import MODELS

CONFIGS = sorted((ROOT / 'configs/mcar').glob('*.py'))
# Sizes differ in the pipeline alone and ResNet-101 from ResNet-50 in depth: test_config_builds.
STEPS = [p for p in CONFIGS if not re.search('-[0-9t]|r101', p.stem)]
NAME = re.compile(r'(mcar|baseline)_(mbv2|r50|r101)_(voc07|voc12|coco)(?:-(256|288|test576|gap))?')
PUBLISHED = [p for p in CONFIGS if NAME.fullmatch(p.stem)]


@pytest.mark.slow
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


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_head_fits_the_backbone(path, no_initialisation):
    """Full networks, without memory for their weights."""
    cfg = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).to('meta')
    features = model.extract_feat(torch.empty(2, 3, 96, 96, device='meta'))
    scores = model.head(features)
    assert features[-1].shape[1] == cfg.model.head.in_channels
    assert scores.shape == (2, cfg.model.head.num_classes)


def test_training_at_448_and_test_at_576(tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/mcar/mcar_r101_coco-test576.py')
    for key, side in zip(LOADERS, (448, 448, 576), strict=True):
        write_dataset(tmp_path, cfg[key].dataset, num_classes=80)
        assert DATASETS.build(cfg[key].dataset)[0]['inputs'].shape == (3, side, side)


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
