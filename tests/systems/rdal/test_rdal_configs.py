"""RDAL's configs: the paper's settings, the two steps one after the other, and the validation loss.

That each config builds is part of test_configs.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from helpers.places import ROOT
from helpers.small_data import shrink, write_proposals
from mmengine.config import Config

from mmmlc.engine.launch import build_runner, load_config
from mmmlc.evaluation.validation_loss import ValidationLoss

CONFIGS = ROOT / 'configs/rdal'
PUBLISHED = [f'vgg16_{data}-{size}' for data in ('voc07', 'coco') for size in (512, 640)]
PUBLISHED += [f'r101_{data}-512' for data in ('voc07', 'coco')]
PUBLISHED += ['vgg16_voc07-512-proposals']


def small(name: str, folder: Path, **backbone) -> Config:
    """The config with small layers, a small crop and small data."""
    cfg = shrink(load_config(CONFIGS / f'{name}.py'), folder)
    cfg.model.backbone.update(backbone)
    if 'neck' in cfg.model:
        cfg.model.neck.update(feature_width=8, hidden_width=8)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for transform in cfg[key].dataset.pipeline:
            if transform.type == 'mmmlc.RandomCrop':
                transform.crop_size = 56
            if transform.type == 'mmmlc.LoadProposals':
                names = [f'{i:06d}.jpg' for i in range(2)]
                transform.file = str(write_proposals(folder / 'prop', 'JPEGImages', names))
    cfg.work_dir = str(folder / name)
    return cfg


def train(cfg: Config):
    runner = build_runner(cfg)
    runner.train()
    assert all(torch.isfinite(v).all() for v in runner.model.state_dict().values())
    return runner


@pytest.mark.slow
def test_two_steps(tmp_path):
    """VGG-11 in place of VGG-16, for the time: step 2 starts where step 1 ended."""
    train(small('baseline_vgg16_voc07-512', tmp_path, depth=11))
    checkpoint = tmp_path / 'baseline_vgg16_voc07-512/epoch_1.pth'
    first = torch.load(checkpoint, weights_only=False)['state_dict']
    init = dict(type='Pretrained', checkpoint=str(checkpoint), prefix='backbone')
    cfg = small('rdal_vgg16_voc07-512', tmp_path, depth=11, init_cfg=init)
    cfg.optim_wrapper.optimizer.lr = 1e-12  # so that only the neck's start can differ
    runner = train(cfg)
    state = runner.model.state_dict()
    shared = [key for key in state if key.startswith('backbone.')]
    assert len(shared) == 16 and all(
        torch.allclose(state[key], first[key], atol=1e-9) for key in shared
    )
    assert (tmp_path / 'rdal_vgg16_voc07-512/best_loss_epoch_1.pth').is_file()
    assert runner.message_hub.get_info('best_score') > 0


def test_step_2_without_step_1(tmp_path):
    for path in CONFIGS.glob('rdal_*.py'):
        cfg = Config.fromfile(path)
        init = cfg.model.backbone.get('init_cfg')
        if init is None:  # from scratch, or another test of a trained model
            assert re.search('coco128|-ten', path.stem)
            continue
        step1, name = Path(init.checkpoint).parts[1:]
        first = CONFIGS / f'{step1}.py'
        if 'toy' in step1:  # MCAR's plain baseline, of this schedule
            assert step1 == 'baseline_r18_toy'
            first = CONFIGS.parent / '_base_/schedules/toy_onecycle_5e.py'
        assert name == f'epoch_{Config.fromfile(first).train_cfg.max_epochs}.pth'
    missing = str(tmp_path / 'epoch_45.pth')
    init = dict(type='Pretrained', checkpoint=missing, prefix='backbone')
    cfg = small('rdal_r18_toy', tmp_path, init_cfg=init)
    with pytest.raises(FileNotFoundError, match=r'epoch_45.pth: no such checkpoint'):
        train(cfg)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['rdal_vgg16_voc07-512-proposals', 'rdal_r18_toy'])
def test_a_training_step(name, tmp_path):
    cfg = small(name, tmp_path, **(dict(depth=11) if 'vgg' in name else {}))
    before = {}
    runner = build_runner(cfg)
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    changed = [k for k, v in runner.model.named_parameters() if not torch.equal(v, before[k])]
    assert {'neck.feature.weight', 'neck.classifier.weight'} <= set(changed)
    assert next(iter(before)) in changed  # the stem
    samples = runner.model.eval().test_step(
        next(iter(runner.build_dataloader(cfg.test_dataloader)))
    )
    assert samples[0].regions_original.shape == (5, 4)


@pytest.mark.parametrize('name', PUBLISHED)
@pytest.mark.parametrize('step', ['baseline', 'rdal'])
def test_published_settings(step, name):
    """Section 5.1, and which images are held out."""
    if step == 'baseline' and 'proposals' in name:
        name = name.removesuffix('-proposals')
    cfg = Config.fromfile(CONFIGS / f'{step}_{name}.py')
    size = int(name.split('-')[1])
    optimizer = dict(type='mmengine.Adam', lr=1e-5, betas=(0.9, 0.999))
    assert cfg.optim_wrapper.optimizer == optimizer
    assert (cfg.param_scheduler.milestones, cfg.param_scheduler.gamma) == ([30], 0.1)
    assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size) == (45, 16)
    train, val, test = (cfg[f'{x}_dataloader'].dataset for x in ('train', 'val', 'test'))
    steps = {t.type: t for t in train.pipeline}
    assert steps['mmmlc.RandomCrop'].crop_size == size - 64
    assert 'mmmlc.RandomFlip' in steps
    for dataset in (train, val, test):
        assert {t.type: t for t in dataset.pipeline}['mmpretrain.Resize'].scale == (size, size)
        assert dataset.with_boxes is False
    if 'coco' in name:
        assert train.ann_file == val.ann_file == 'annotations/instances_train2014.json'
        assert train.indices - val.indices == 82_081
        assert 'val2014' in test.ann_file and test.data_prefix.img_path == 'val2014'
    else:
        assert (train.split, val.split, test.split) == ('trainval', 'trainval', 'test')
        assert train.indices - val.indices == 5_011
    assert test.get('indices') is None
    assert (cfg.test_evaluator.threshold, cfg.test_evaluator.topk) == (0.5, 3)
    if step == 'rdal':
        checkpoint = cfg.default_hooks.checkpoint
        assert (checkpoint.save_best, checkpoint.rule) == ('loss', 'less')
        assert cfg.val_evaluator[1].type == 'mmmlc.ValidationLoss'
        assert (cfg.model.neck.num_regions, cfg.model.head.loss) == (5, 'euclidean')


def test_validation_loss():
    metric = ValidationLoss()
    metric.process(None, [dict(image_loss=torch.tensor(0.5)), dict(image_loss=2.0)])
    metric.process(None, [dict(image_loss=torch.tensor(0.2))])
    assert metric.evaluate(3) == dict(loss=pytest.approx(0.9))
    with pytest.raises(ValueError, match="a.jpg has no 'image_loss': ValidationLoss needs labels"):
        metric.process(None, [dict(img_path='a.jpg')])
    with pytest.raises(ValueError, match='got no samples'):
        metric.compute_metrics([])
