"""A resumed training computes what an uninterrupted one would have computed, to the bit."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
import torch
from helpers.places import ROOT
from helpers.resumes import differences, kill_and_resume, state_of, toy_config, write_toys
from mmengine.hooks import Hook

from mmmlc.engine.launch import build_runner

BASELINE = ROOT / 'configs/mcar/baseline_r18_toy.py'
NUMBERS = itertools.count()
MIX = dict(
    model__train_cfg=dict(augments=[dict(type='mmpretrain.Mixup', alpha=1.0)]),
    model__data_preprocessor__num_classes=20,
)
ITERATIONS = dict(
    param_scheduler__by_epoch=False,
    param_scheduler__convert_to_iter_based=False,
    param_scheduler__total_steps=9,
)
WITHIN = dict(
    default_hooks__checkpoint__by_epoch=False,
    default_hooks__checkpoint__interval=1,
    default_hooks__checkpoint__max_keep_ckpts=-1,
)


@pytest.fixture(scope='module')
def toys(tmp_path_factory) -> Path:
    return write_toys(tmp_path_factory.mktemp('toys'))


def train(data: Path, work_dir: Path, resume: str | None = None, change=None, hooks=(), **options):
    """The runner after a training in this process."""
    cfg = toy_config(BASELINE, data, work_dir, **options)
    cfg.experiment_name = f'exact{next(NUMBERS)}'
    if change:
        change(cfg)
    if resume:
        cfg.resume, cfg.load_from = True, str(work_dir / resume)
    runner = build_runner(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def test_three_kills(tmp_path):
    """Moving average, RandAugment, Mixup; the kills fall anywhere, also into writing a file."""
    config = 'modern/modern_r18_toy.py'
    kill_and_resume(config, tmp_path, kills=3, **MIX)


def test_goes_on_within_an_epoch(toys, tmp_path):
    options = dict(**MIX, **WITHIN)
    expected = state_of(train(toys, tmp_path, **options))
    for name in ('iter_1.pth', 'iter_6.pth', 'iter_8.pth'):  # an epoch has 3 iterations
        found = state_of(train(toys, tmp_path, name, **options))
        assert differences(expected, found) == [], name


@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_iterations_instead_of_epochs(toys, tmp_path, monkeypatch, sampler):
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda seconds: None)
    options = dict(**ITERATIONS, **WITHIN, train_dataloader__sampler__type=f'mmengine.{sampler}')

    def change(cfg) -> None:
        cfg.train_cfg = dict(type='mmengine.IterBasedTrainLoop', max_iters=9, val_interval=4)
        # mmengine skips quickly where the loader makes its own batches.
        if sampler == 'InfiniteSampler':
            cfg.train_dataloader.pop('batch_sampler')

    expected = state_of(train(toys, tmp_path, change=change, **options))
    assert expected['counts'] == (0, 9) and 'val/mAP' in expected['logs']
    for name in ('iter_2.pth', 'iter_4.pth', 'iter_7.pth'):
        found = state_of(train(toys, tmp_path, name, change=change, **options))
        assert differences(expected, found) == [], name


def test_without_a_seed(toys, tmp_path):
    """The drawn seed is in the checkpoint; mmengine resumes it after the sampler is built."""
    options = dict(randomness__seed=None, default_hooks__checkpoint__max_keep_ckpts=-1)
    expected = state_of(train(toys, tmp_path, **options))
    path = tmp_path / 'epoch_1.pth'
    assert differences(expected, state_of(train(toys, tmp_path, path.name, **options))) == []
    checkpoint = torch.load(path, weights_only=False)
    del checkpoint['meta']['exact_resume']  # as one of an earlier version
    torch.save(checkpoint, tmp_path / 'old.pth')
    assert differences(expected, state_of(train(toys, tmp_path, 'old.pth', **options))) == []


class Interrupt(Hook):
    """After the first checkpoint, before its validation."""

    def before_val(self, runner) -> None:
        raise KeyboardInterrupt


def test_best_checkpoint_is_not_lost(toys, tmp_path):
    """mmengine goes on with the next epoch and never validates the one of the checkpoint."""
    options = dict(
        default_hooks__checkpoint__save_best='mAP', default_hooks__checkpoint__max_keep_ckpts=-1
    )
    expected = state_of(train(toys, tmp_path / 'whole', **options))
    killed = tmp_path / 'killed'

    with pytest.raises(KeyboardInterrupt):
        train(toys, killed, hooks=[Interrupt()], **options)
    found = train(toys, killed, 'epoch_1.pth', **options)
    assert differences(expected, state_of(found)) == []
    names = [
        {path.name for path in folder.glob('best_*')} for folder in (tmp_path / 'whole', killed)
    ]
    assert names[0] == names[1] != set()
    # The checkpoint is written again when its validation is the best: then it holds that, too.
    again = train(toys, tmp_path / 'whole', 'epoch_1.pth', **options)
    assert differences(expected, state_of(again)) == []


HALVES = dict(optim_wrapper__accumulative_counts=2)


def test_what_cannot_be_exact_is_said(toys, tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr('mmmlc.engine.hooks.exact_resume._warn', said.append)
    train(toys, tmp_path, **HALVES, **WITHIN)
    between = [text for text in said if 'lies between two updates' in text]
    assert len(between) == len(said) == 4, said  # of 9 iterations 1, 3, 5 and 7
    said.clear()
    with pytest.raises(
        ValueError, match='6 images per update, 8 in the training of the checkpoint'
    ):
        train(toys, tmp_path, 'iter_4.pth', **HALVES, train_dataloader__batch_size=3, **WITHIN)
    checkpoint = torch.load(tmp_path / 'iter_4.pth', weights_only=False)
    checkpoint['meta']['exact_resume'].update(processes=8, epoch_length=7)
    torch.save(checkpoint, tmp_path / 'eight.pth')
    train(toys, tmp_path, 'eight.pth', **HALVES, **WITHIN)
    assert 'with 8 processes and goes on with 1' in said[0]
    assert 'batch 1 of 7 of an epoch, which now has 3 batches: the epoch begins anew' in said[1]


def in_process(rank: int, data: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK='0')
    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    options = dict(
        **MIX,
        randomness=dict(seed=None, diff_rank_seed=True),
        default_hooks__checkpoint__max_keep_ckpts=-1,
        launcher='pytorch',
        custom_hooks=[dict(type='mmengine.SyncBuffersHook')],
    )
    expected = state_of(train(data, folder / 'work', **options))
    found = state_of(train(data, folder / 'work', 'epoch_1.pth', **options))
    if rank:  # the log in a checkpoint is that of the first process
        del expected['logs'], found['logs']
    (folder / f'{rank}.txt').write_text('\n'.join(differences(expected, found)))


def test_two_processes(toys, tmp_path):
    torch.multiprocessing.spawn(in_process, (toys, tmp_path), nprocs=2)
    assert [(tmp_path / f'{rank}.txt').read_text() for rank in range(2)] == ['', '']
