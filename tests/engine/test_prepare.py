"""The one place where a config is changed before a run: its steps, their order, and that it can
be called again.
"""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import ROOT
from mmengine.config import Config, ConfigDict

from mmmlc.engine import RunOptions, load_config, prepare
from mmmlc.engine.prepare import without_pretrained, write_results_to

CONFIG = ROOT / 'configs/mcar/mcar_r18_toy.py'


def config(tmp_path, **options) -> Config:
    return load_config(CONFIG, options, tmp_path)


def test_without_options_a_config_stays_as_it_is(tmp_path):
    cfg = config(tmp_path)
    before = copy.deepcopy(cfg.to_dict())
    prepare(cfg)
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    'options',
    [
        RunOptions(seed=3, validate=False, scale_rates=True),
        RunOptions(test=True, views='images', out_dir='out', show_dir='pictures', show_max=2),
    ],
    ids=['train', 'test'],
)
def test_a_second_time_changes_nothing_more(tmp_path, options):
    """Rates would be scaled twice, and a model be viewed through views of views."""
    cfg = config(tmp_path, **{'train_dataloader.batch_size': 64})
    prepare(cfg, options)
    once = copy.deepcopy(cfg.to_dict())
    prepare(cfg, options)
    assert cfg.to_dict() == once


def test_training(tmp_path):
    cfg = config(tmp_path, **{'train_dataloader.batch_size': 64})
    rate = cfg.optim_wrapper.optimizer.lr
    prepare(cfg, RunOptions(seed=3, validate=False, scale_rates=True, resume='auto'))
    assert cfg.randomness.seed == 3 and cfg.val_dataloader is cfg.val_cfg is None
    assert cfg.optim_wrapper.optimizer.lr == 2 * rate
    assert cfg.resume is True and cfg.load_from is None


def test_of_a_test_the_weights_come_from_the_command_line(tmp_path):
    pretrained = {'model.backbone.init_cfg': dict(type='Pretrained', checkpoint='gone.pth')}
    cfg = config(tmp_path, load_from='gone.pth', resume=True, **pretrained)
    prepare(cfg, RunOptions(test=True, views='features', show_dir=tmp_path, show_max=2))
    assert cfg.load_from is None and cfg.resume is False and cfg.model.backbone.init_cfg is None
    assert cfg.model.type == 'mmmlc.TenViews' and cfg.model.classifier == 'mmmlc.MCAR'
    hook = cfg.custom_hooks[-1]
    assert (hook.type, hook.out_dir, hook.max_images) == (
        'mmmlc.RegionPictureHook',
        str(tmp_path),
        2,
    )


def test_rates_are_scaled_before_they_are_checked(tmp_path):
    """A factor that a one-cycle schedule would undo is refused whatever the scaling."""
    key = 'optim_wrapper.paramwise_cfg'
    cfg = config(tmp_path, **{key: dict(custom_keys={'head': dict(lr_mult=10.0)})})
    with pytest.raises(ValueError, match='lr_mult.* has no effect: param_scheduler OneCycleLR'):
        prepare(cfg, RunOptions(scale_rates=True))


def test_without_training_rates_and_batch_norms_stay(tmp_path):
    """As in tools that run a config's network to mine parts, on a single process, too."""
    options = {'auto_scale_lr.enable': True, 'train_dataloader.batch_size': 64, 'sync_bn': 'torch'}
    cfg = config(tmp_path, **options)
    before = copy.deepcopy(cfg.to_dict())
    prepare(cfg, RunOptions(train=False))
    assert cfg.to_dict() == before
    with pytest.raises(ValueError, match='sync_bn'):
        prepare(cfg)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='--resume gone.pth: no such checkpoint'):
        prepare(config(tmp_path), RunOptions(resume='gone.pth'))
    if not torch.cuda.is_available():
        for test in (False, True):
            with pytest.raises(ValueError, match='--amp: torch sees no GPU'):
                prepare(config(tmp_path), RunOptions(amp=True, test=test))
    cfg = config(tmp_path)
    cfg.launcher = 'pytorch'
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match='--launcher pytorch without a GPU expects torchrun'):
            prepare(cfg)


def test_metrics_do_not_share_a_folder():
    metrics = ('mmmlc.ValidationLoss', 'mmmlc.MultiLabelMetric', 'mmmlc.WeakDetectionMetric')
    cfg = Config(dict(test_evaluator=[dict(type=name) for name in metrics]))
    write_results_to(cfg, 'out')
    found = [metric.get('out_dir') for metric in cfg.test_evaluator]
    assert found == [None, 'out', 'out/WeakDetectionMetric']


def test_results_of_one_metric():
    cfg = Config(dict(test_evaluator=dict(type='mmmlc.VOCServerFiles')))
    write_results_to(cfg, 'out')
    assert cfg.test_evaluator.out_dir == 'out'


def test_no_metric_that_writes():
    cfg = Config(dict(test_evaluator=dict(type='mmengine.DumpResults', out_file_path='a.pkl')))
    with pytest.raises(ValueError, match='--out: test_evaluator is mmengine.DumpResults, expected'):
        write_results_to(cfg, 'out')
    cfg = Config(dict(test_evaluator=None))
    with pytest.raises(ValueError, match='--out: test_evaluator is None, expected'):
        write_results_to(cfg, 'out')


def test_pretrained_weights_are_taken_out_at_any_depth():
    pretrained = dict(type='Pretrained', checkpoint='a.pth')
    model = ConfigDict(
        backbone=dict(init_cfg=pretrained),
        neck=[dict(init_cfg=pretrained), dict(init_cfg=dict(type='mmengine.Normal', std=0.01))],
        head=dict(loss=dict(weight=1.0)),
    )
    without_pretrained(model)
    assert model.backbone.init_cfg is None and model.neck[0].init_cfg is None
    assert model.neck[1].init_cfg.type == 'mmengine.Normal'
