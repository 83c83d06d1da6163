"""The configs for photographs take a step on small images, without a package of weights."""

from __future__ import annotations

import json

import pytest
import torch
from helpers.places import ROOT
from helpers.small_data import write_for
from mmengine.config import Config

from mmmlc.engine.launch import build_runner, load_config

FOLDER = ROOT / 'configs/photos'
CONFIGS = sorted(FOLDER.glob('*.py'))
SIDE = 64


def shrink(cfg: Config, folder) -> Config:
    cfg.model.backbone.pretrained = False
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for transform in loader.dataset.pipeline:
            if 'scale' in transform:
                transform.scale = (SIDE, SIDE)
    write_for(cfg, folder / 'data')
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.max_epochs = 1
    return cfg


@pytest.mark.parametrize('name', ['baseline_gmp', 'csra', 'query2label', 'ml-decoder'])
def test_config_takes_a_step(name, tmp_path):
    """Above stride 8; what is new learns ten times as fast; the metric reads the predictions."""
    path = FOLDER / f'{name}_lite0_photos.py'
    runner = build_runner(shrink(load_config(path, work_dir=tmp_path / 'work'), tmp_path))
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    after = dict(runner.model.named_parameters())
    assert all(v.isfinite().all() for v in after.values())
    trained = {key for key, v in after.items() if v.requires_grad}
    assert {key for key in before if not torch.equal(after[key], before[key])} <= trained
    assert not any(torch.equal(after[key], before[key]) for key in trained if 'weight' in key)
    assert {key.split('.')[3] for key in trained if '.blocks.' in key} == {'3', '4', '5', '6'}
    named = {id(p): key for key, p in after.items()}
    # mmengine adds a parameter of its own, for the rate without factors.
    groups = {named.get(id(g['params'][0])): g for g in runner.optim_wrapper.param_groups}
    assert groups.keys() == {*trained, None}
    for key, group in groups.items():
        backbone = key is not None and key.startswith('backbone')
        assert group['initial_lr'] == pytest.approx(3e-4 if backbone else 3e-3)
    (log,) = (tmp_path / 'work').rglob('scalars.json')
    last = json.loads(log.read_text().splitlines()[-1])
    assert 0 < last['mAP'] <= 100 and last['step'] == 1


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_only_the_head_differs(path):
    plain = Config.fromfile(FOLDER / 'baseline_gap_lite0_photos.py').to_dict()
    other = Config.fromfile(path).to_dict()
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        steps = other.pop(key)['dataset']['pipeline']
        sizes = [step['scale'] for step in steps if 'scale' in step]
        assert sizes == [160 if key == 'train_dataloader' else (160, 160)]
        del plain[key]
    for cfg in (plain, other):
        assert cfg['model'].pop('head')['num_classes'] == cfg['num_classes'] == 47
        del cfg['train_pipeline'], cfg['test_pipeline']
    assert other == plain
