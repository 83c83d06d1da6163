"""Every config builds, takes a training step with the published learning rates, and validates."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from small_data import write_for

from mmmlc.apis import build_runner, load_config

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').glob('*/*.py') if p.parent.name != '_base_')


def shrink(cfg: Config, work_dir: Path) -> Config:
    """One small step, without downloads."""
    cfg.model.backbone.init_cfg = None
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for transform in cfg[key].dataset.pipeline:
            if transform.type == 'mmpretrain.Resize':
                transform.scale = (64, 64)
    write_for(cfg, work_dir / 'data')
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.work_dir = str(work_dir / 'work')
    return cfg


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_takes_a_step(path, tmp_path):
    cfg = shrink(load_config(path, work_dir=tmp_path), tmp_path)
    lr = cfg.optim_wrapper.optimizer.lr
    runner = build_runner(cfg)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    changed = [k for k, v in runner.model.named_parameters() if not torch.equal(v, before[k])]
    assert 'head.classifier.weight' in changed and 'backbone.conv1.weight' in changed
    rates = {group['lr'] for group in runner.optim_wrapper.param_groups}
    assert all(torch.isfinite(v).all() for v in runner.model.state_dict().values())
    if 'toy' in path.stem or 'coco128' in path.stem:
        return
    assert lr == 0.001
    assert rates == {0.001, 0.01}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_keeps_the_rules(path):
    """Scoped types, and at most two levels of ``_base_`` above which the model stands in full."""
    cfg = Config.fromfile(path)
    unscoped = [t for t in _types(cfg.to_dict()) if '.' not in t]
    assert set(unscoped) <= {'Pretrained'}
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


@pytest.mark.parametrize('data', ['coco', 'voc07'])
@pytest.mark.parametrize('depth', [50, 101])
@pytest.mark.parametrize('size', ['', '-256'])
def test_published_settings(data, depth, size):
    """MCAR's hyper-parameters (Section IV-A) and the pooling of Tables VII and VIII."""
    cfg = Config.fromfile(ROOT / f'configs/mcar/mcar_r{depth}_{data}{size}.py')
    side = 256 if size else 448
    assert (cfg.model.topn, cfg.model.tau) == (4, 0.5)
    assert cfg.model.head.pooling == ('gwp' if data == 'coco' else 'gap')
    assert cfg.model.head.threshold == cfg.test_evaluator.threshold == 0.6
    assert cfg.optim_wrapper.optimizer == dict(
        type='mmengine.SGD', lr=0.001, momentum=0.9, weight_decay=1e-4
    )
    assert cfg.param_scheduler.milestones == [30, 50] and cfg.param_scheduler.gamma == 0.1
    assert cfg.train_cfg.max_epochs == 60
    assert cfg.train_dataloader.batch_size == 16
    assert cfg.train_dataloader.batch_sampler.type == 'mmmlc.TotalBatchSampler'
    train = [t.type for t in cfg.train_dataloader.dataset.pipeline]
    assert train[1:4] == ['mmpretrain.Resize', 'mmmlc.RandomFlip', 'mmpretrain.ColorJitter']
    jitter = cfg.train_dataloader.dataset.pipeline[3]
    assert jitter.brightness == jitter.contrast == jitter.saturation == 0.3
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        assert loader.dataset.pipeline[1].scale == (side, side)
