"""FSDP on two CPU processes: the config of the docs trains as one process does, and resumes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from helpers.places import CONFIGS, DOCS
from helpers.tool_lab import call, data_options, free_port, make_toys
from mmengine.config import Config

from mmmlc.engine import RunOptions, build_runner, load_checkpoint_file, load_config
from mmmlc.engine.strategies import FSDPStrategy
from mmmlc.registry import MODELS

pytestmark = pytest.mark.slow
IMAGES = 8
BASE = 'configs/mcar/mcar_r18_toy.py'


def documented(folder: Path) -> Path:
    """The config of docs/training.md, in a folder of its own."""
    blocks = re.findall(r'```python\n(.*?)```', (DOCS / 'training.md').read_text(), re.DOTALL)
    (text,) = [block for block in blocks if 'FSDPStrategy' in block]
    path = folder / 'sharded.py'
    path.write_text(text.replace(BASE, str(CONFIGS.parent / BASE)))
    return path


def options(folder: Path, epochs: int) -> dict[str, object]:
    """Without chance, one step an epoch, norms in evaluation mode.

    And without regions: rounding decides at which pixel one ends.
    """
    return {
        'model.topn': 0,
        'val_evaluator.also': ['global_score'],
        'load_from': str(folder / 'start.pth'),
        'train_dataloader.dataset.pipeline.1.prob': 0.0,
        'train_dataloader.batch_size': IMAGES,
        'train_cfg.max_epochs': epochs,
        'model.backbone.norm_eval': True,
        'model.backbone.zero_init_residual': False,
        'param_scheduler': None,
        'optim_wrapper.optimizer.lr': 0.05,
        'default_hooks.checkpoint.max_keep_ckpts': 2,
    }


def train_sharded(folder: Path, epochs: int, *resume: str) -> None:
    values = [f'{key}={value}' for key, value in options(folder, epochs).items()]
    call(
        'bash', 'tools/dist_train.sh', documented(folder), 2, '--work-dir', folder / 'sharded',
        *resume, '--cfg-options', *data_options(folder / 'data'), *values,
        PORT=str(free_port()), CUDA_VISIBLE_DEVICES='',
    )  # fmt: skip


def train_alone(folder: Path, epochs: int) -> None:
    values = dict(word.split('=') for word in data_options(folder / 'data'))
    workers = {key: 0 for key in values if key.endswith('.num_workers')}
    keep = {key: False for key in values if key.endswith('.persistent_workers')}
    cfg = load_config(
        CONFIGS.parent / BASE, values | workers | keep | options(folder, epochs), folder / 'alone'
    )
    build_runner(cfg, options=RunOptions(validate=False)).train()


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """With a training of two epochs by one process, and by two that start a second time for it."""
    folder = tmp_path_factory.mktemp('fsdp')
    make_toys(folder / 'data', IMAGES, 5)
    cfg = load_config(CONFIGS.parent / BASE, {'model.backbone.zero_init_residual': False})
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'start.pth')
    train_alone(folder, 2)
    train_sharded(folder, 1)
    train_sharded(folder, 2, '--resume')
    return folder


@pytest.mark.parametrize('epoch', [1, 2])
def test_two_processes_train_and_resume_as_one(folder, epoch):
    """And their checkpoints have the keys of the config that theirs is based on."""
    alone, sharded = (
        load_checkpoint_file(folder / name / f'epoch_{epoch}.pth') for name in ('alone', 'sharded')
    )
    assert sharded['meta']['epoch'] == epoch
    expected, found = alone['state_dict'], sharded['state_dict']
    assert found.keys() == expected.keys()
    start = load_checkpoint_file(folder / 'start.pth')['state_dict']
    for name, value in expected.items():
        moved = (value.double() - start[name]).norm()
        rounding = 1e-7 * value.double().norm()  # of weights that hardly move
        assert (found[name].double() - value).norm() <= 1e-4 * moved + rounding, name
        assert moved > 0 or not name.endswith('weight')


def test_clipping_by_the_norm_of_a_shard_is_refused(tmp_path):
    strategy = FSDPStrategy(work_dir=str(tmp_path))
    optimizer = dict(type='mmengine.SGD', lr=0.1)
    wrapper = Config(dict(type='mmengine.OptimWrapper', optimizer=optimizer))._cfg_dict
    model = torch.nn.Linear(1, 1)
    strategy.build_optim_wrapper(wrapper.copy(), model)
    wrapper.clip_grad = dict(max_norm=5.0)
    with pytest.raises(ValueError, match=r'optim_wrapper.clip_grad is .*max_norm.*, expected None'):
        strategy.build_optim_wrapper(wrapper, model)
