"""FSDP on two CPU processes: the config of the docs trains as one process does, and resumes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from helpers.places import CONFIGS, DOCS
from helpers.tool_lab import call, data_options, free_port, make_toys
from mmengine.config import Config

from mmmlc.engine import load_checkpoint_file
from mmmlc.engine.strategies import FSDPStrategy

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


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """With a training of two epochs by one process, and by two that start a second time for it."""
    folder = tmp_path_factory.mktemp('fsdp')
    make_toys(folder / 'data', IMAGES, 5)
    train(folder, 'alone', [sys.executable, 'tools/train.py', BASE], 2)
    launch = ['bash', 'tools/dist_train.sh', documented(folder), 2]
    train(folder, 'sharded', launch, 1)
    train(folder, 'sharded', [*launch, '--resume'], 2)
    return folder


def train(folder: Path, name: str, words: list, epochs: int) -> None:
    """Train without chance, one step an epoch, norms in evaluation mode."""
    options = [
        *data_options(folder / 'data'),
        'train_dataloader.dataset.pipeline.1.prob=0.0', 'model.backbone.norm_eval=True',
        f'train_dataloader.batch_size={IMAGES}', f'train_cfg.max_epochs={epochs}',
        'param_scheduler=None', 'optim_wrapper.optimizer.lr=0.05',
        'default_hooks.checkpoint.max_keep_ckpts=2',
    ]  # fmt: skip
    call(
        *words, '--work-dir', folder / name, '--seed', 0, '--cfg-options', *options,
        PORT=str(free_port()), CUDA_VISIBLE_DEVICES='',
    )  # fmt: skip


@pytest.mark.parametrize('epoch', [1, 2])
def test_two_processes_train_and_resume_as_one(folder, epoch):
    """And their checkpoints have the keys of the config that theirs is based on."""
    alone, sharded = (
        load_checkpoint_file(folder / name / f'epoch_{epoch}.pth') for name in ('alone', 'sharded')
    )
    assert sharded['meta']['epoch'] == epoch
    expected, found = alone['state_dict'], sharded['state_dict']
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_clipping_by_the_norm_of_a_shard_is_refused(tmp_path):
    strategy = FSDPStrategy(work_dir=str(tmp_path))
    optimizer = dict(type='mmengine.SGD', lr=0.1)
    wrapper = Config(dict(type='mmengine.OptimWrapper', optimizer=optimizer))._cfg_dict
    model = torch.nn.Linear(1, 1)
    strategy.build_optim_wrapper(wrapper.copy(), model)
    wrapper.clip_grad = dict(max_norm=5.0)
    with pytest.raises(ValueError, match=r'optim_wrapper.clip_grad is .*max_norm.*, expected None'):
        strategy.build_optim_wrapper(wrapper, model)
