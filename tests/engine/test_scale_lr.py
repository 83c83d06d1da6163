"""Learning rates for other batch sizes, accumulated gradients, synchronised batch norm."""

from __future__ import annotations

import re
import sys

import pytest
import timm
import torch
from helpers.places import TOY_CONFIG, tool
from mmengine.config import Config
from mmengine.model import convert_sync_batchnorm
from mmengine.optim import OneCycleLR, OptimWrapper, build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmmlc.engine.launch import load_config
from mmmlc.engine.prepare import prepare, use_sync_bn
from mmmlc.engine.scale_lr import check_lr_factors, images_per_update, scale_lr, world_size
from mmmlc.engine.synchronised_norms import check_synchronised


def make(batch_size=16, total=True, lr=0.02, accumulate=1, base=16, **schedule) -> Config:
    loader = dict(batch_size=batch_size)
    if total:
        loader['batch_sampler'] = dict(type='mmmlc.TotalBatchSampler')
    return Config(
        dict(
            train_dataloader=loader,
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr), accumulative_counts=accumulate),
            param_scheduler=schedule or None,
            auto_scale_lr=dict(base_batch_size=base, enable=True),
        )
    )


@pytest.mark.parametrize('processes', [1, 2, 8])
@pytest.mark.parametrize(
    'batch_size, total, accumulate, images',
    [(16, True, 1, [16, 16, 16]), (64, True, 2, [128] * 3), (4, False, 3, [12, 24, 96])],
)
def test_images_per_update(batch_size, total, accumulate, images, processes):
    """The total sampler's batch is that of all processes; mmengine would multiply it."""
    cfg = make(batch_size, total, accumulate=accumulate)
    expected = images[[1, 2, 8].index(processes)]
    assert images_per_update(cfg, processes) == expected
    assert scale_lr(cfg, processes) == expected / 16
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.02 * expected / 16)
    assert cfg.auto_scale_lr.enable is False  # or mmengine would scale again


def test_rates_in_schedules_follow():
    cfg = make(64, type='mmengine.OneCycleLR', eta_max=0.5, total_steps=5, pct_start=0.3)
    scale_lr(cfg, 1)
    assert dict(cfg.param_scheduler) == dict(
        type='mmengine.OneCycleLR', eta_max=2.0, total_steps=5, pct_start=0.3
    )
    cfg = make(8)
    cfg.param_scheduler = [
        dict(type='mmengine.LinearLR', start_factor=0.1, end=5),
        dict(type='mmengine.CosineAnnealingLR', eta_min=1e-4, T_max=9),
        dict(type='mmengine.CosineAnnealingMomentum', eta_min=0.8),
        dict(type='mmengine.ReduceOnPlateauLR', min_value=[1e-3, 1e-4]),
    ]
    scale_lr(cfg, 1)
    linear, cosine, momentum, plateau = cfg.param_scheduler
    assert linear == dict(type='mmengine.LinearLR', start_factor=0.1, end=5)
    assert cosine == dict(type='mmengine.CosineAnnealingLR', eta_min=5e-5, T_max=9)
    assert momentum.eta_min == 0.8
    assert plateau.min_value == [5e-4, 5e-5]


@pytest.mark.parametrize('base', [None, 0, 'auto'])
def test_base_batch_size_is_needed(base):
    with pytest.raises(ValueError, match='auto_scale_lr.base_batch_size is'):
        scale_lr(make(base=base), 1)


FACTORS = dict(custom_keys={'0': dict(lr_mult=0.1)})


def test_one_cycle_ignores_factors():
    """Why they are refused: mmengine gives both layers the same rate."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    wrapper = build_optim_wrapper(
        model, dict(optimizer=dict(type='SGD', lr=0.5), paramwise_cfg=FACTORS)
    )
    rates = {group['lr'] for group in wrapper.param_groups}
    assert sorted(rates) == pytest.approx([0.05, 0.5])
    schedule = OneCycleLR(wrapper, eta_max=0.5, total_steps=10)
    for _ in range(2):
        schedule.step()
    assert len({group['lr'] for group in wrapper.param_groups}) == 1


@pytest.mark.parametrize('kind', ['OneCycleLR', 'mmengine.OneCycleLR'])
def test_one_cycle_with_factors_is_refused(kind):
    cfg = make(type=kind, eta_max=0.5, total_steps=5)
    check_lr_factors(cfg)
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'neck': dict(lr_mult=1.0)})
    check_lr_factors(cfg)
    cfg.optim_wrapper.paramwise_cfg = FACTORS
    where = re.escape("optim_wrapper['paramwise_cfg']['custom_keys']['0']['lr_mult']=0.1")
    with pytest.raises(ValueError, match=f'{where} has no effect'):
        check_lr_factors(cfg)
    cfg.param_scheduler.eta_max = [0.5, 0.05]
    check_lr_factors(cfg)
    cfg.param_scheduler = dict(type='mmengine.CosineAnnealingLR', T_max=5)
    check_lr_factors(cfg)
    cfg.param_scheduler = None
    check_lr_factors(cfg)


def test_several_optimisers_are_refused():
    cfg = make()
    cfg.optim_wrapper = dict(generator=dict(optimizer=dict(lr=1)))
    with pytest.raises(ValueError, match='expected a single optimiser'):
        scale_lr(cfg, 1)


@pytest.mark.parametrize(
    'launcher, variable',
    [('pytorch', 'WORLD_SIZE'), ('slurm', 'SLURM_NTASKS'), ('mpi', 'OMPI_COMM_WORLD_SIZE')],
)
def test_world_size(launcher, variable, monkeypatch):
    monkeypatch.setenv(variable, '6')
    assert (world_size(launcher), world_size('none')) == (6, 1)
    monkeypatch.delenv(variable)
    with pytest.raises(ValueError, match=f'--launcher {launcher} expects .* {variable}'):
        world_size(launcher)


def test_training_tool_scales(monkeypatch, tmp_path):
    """``--auto-scale-lr`` of the tool, with twice the batch of the config."""
    found = []
    words = [TOY_CONFIG, '--auto-scale-lr', '--work-dir', tmp_path]
    words += ['--cfg-options', 'train_dataloader.batch_size=64']
    monkeypatch.setattr(sys, 'argv', ['train.py', *map(str, words)])
    train = tool('train')

    class Runner:
        def train(self):
            pass

    def build(cfg, trust, options):
        prepare(cfg, options)
        found.append(cfg)
        return Runner()

    monkeypatch.setattr(train, 'build_runner', build)
    train.main()
    (cfg,) = found
    assert cfg.optim_wrapper.optimizer.lr == cfg.param_scheduler.eta_max == 1.0


def plain_model() -> torch.nn.Module:
    """Without batch norm, whose statistics depend on the batch."""
    backbone = dict(type='mmmlc.TIMMFeatureMap', model_name='convnext_atto', drop_path_rate=0)
    head = dict(type='mmmlc.MultiLabelConvHead', num_classes=4, in_channels=320)
    model = dict(type='mmpretrain.ImageClassifier', backbone=backbone, head=head)
    return MODELS.build(model)


def test_accumulated_halves_are_one_batch():
    images = torch.randn(4, 3, 64, 64)
    samples = [DataSample().set_gt_label([i, 3 - i]) for i in range(4)]
    model = plain_model()
    start = {k: v.clone() for k, v in model.state_dict().items()}
    updated = []
    for parts in (1, 2):
        model.load_state_dict(start)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        wrapper = OptimWrapper(optimizer, accumulative_counts=parts)
        wrapper.initialize_count_status(model, 0, parts)
        size = len(images) // parts
        for i in range(0, len(images), size):
            with wrapper.optim_context(model):
                losses = model.loss(images[i : i + size], samples[i : i + size])
            wrapper.update_params(losses['loss'])
        updated.append({k: v.clone() for k, v in model.state_dict().items()})
    for name, value in updated[0].items():
        torch.testing.assert_close(updated[1][name], value, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(updated[0][k], start[k]) for k in start)


def test_sync_bn_needs_gpus_and_processes(monkeypatch):
    cfg = load_config(TOY_CONFIG)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='sync_bn: torch sees no GPU'):
        use_sync_bn(cfg)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    with pytest.raises(ValueError, match='sync_bn: one process has nothing to synchronise'):
        use_sync_bn(cfg)
    cfg.launcher = 'slurm'
    use_sync_bn(cfg)
    assert cfg.sync_bn == 'torch'
    cfg.sync_bn = 'mmcv'
    use_sync_bn(cfg)
    assert cfg.sync_bn == 'mmcv'


def test_sync_bn_that_would_leave_out_activations():
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
    check_synchronised(convert_sync_batchnorm(plain))
    model = timm.create_model('tf_efficientnet_lite0')
    check_synchronised(model)
    with pytest.raises(ValueError, match='sync_bn: bn1 would leave out its Identity, ReLU6, expec'):
        check_synchronised(convert_sync_batchnorm(model))
