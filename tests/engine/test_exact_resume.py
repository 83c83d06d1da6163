"""A resumed training computes what an uninterrupted one would have computed, to the bit."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from helpers.places import ROOT
from helpers.resumes import differences, kill_and_resume, state_of, toy_config, write_toys

from mmmlc.engine.launch import build_runner

BASELINE = ROOT / 'configs/mcar/baseline_r18_toy.py'
NUMBERS = itertools.count()
MIX = dict(augments=[dict(type='mmpretrain.Mixup', alpha=1.0)])
ITERATIONS = dict(
    train_cfg=dict(
        _delete_=True, type='mmengine.IterBasedTrainLoop', max_iters=9, val_interval=4
    ),
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


def train(data: Path, work_dir: Path, resume: str | None = None, change=None, **options):
    """The runner after a training in this process."""
    cfg = toy_config(BASELINE, data, work_dir, **options)
    cfg.experiment_name = f'exact{next(NUMBERS)}'
    if change:
        change(cfg)
    if resume:
        cfg.resume, cfg.load_from = True, str(work_dir / resume)
    runner = build_runner(cfg)
    runner.train()
    return runner


def test_three_kills(tmp_path):
    """Moving average, RandAugment, Mixup; the kills fall anywhere, also into writing a file."""
    config = 'modern/modern_r18_toy.py'
    kill_and_resume(config, tmp_path, kills=3, model__train_cfg=MIX)


def test_goes_on_within_an_epoch(toys, tmp_path):
    options = dict(model__train_cfg=MIX, **WITHIN)
    expected = state_of(train(toys, tmp_path, **options))
    for name in ('iter_1.pth', 'iter_6.pth', 'iter_8.pth'):  # an epoch has 3 iterations
        found = state_of(train(toys, tmp_path, name, **options))
        assert differences(expected, found) == [], name


@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_iterations_instead_of_epochs(toys, tmp_path, monkeypatch, sampler):
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda seconds: None)
    options = dict(**ITERATIONS, **WITHIN, train_dataloader__sampler__type=f'mmengine.{sampler}')

    def change(cfg) -> None:  # mmengine skips quickly where the loader makes its own batches
        if sampler == 'InfiniteSampler':
            cfg.train_dataloader.pop('batch_sampler')

    expected = state_of(train(toys, tmp_path, change=change, **options))
    assert expected['counts'] == (0, 9) and len(expected['logs']['val/mAP']) == 3
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


def test_best_checkpoint_is_not_lost(toys, tmp_path):
    """mmengine goes on with the next epoch and never validates the one of the checkpoint."""
    options = dict(
        default_hooks__checkpoint__save_best='mAP', default_hooks__checkpoint__max_keep_ckpts=-1
    )
    expected = state_of(train(toys, tmp_path / 'whole', **options))
    killed = tmp_path / 'killed'

    def stop(cfg) -> None:  # after the checkpoint, before the validation
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.train_cfg.max_epochs = 1
        cfg.default_hooks.checkpoint.save_best = None

    train(toys, killed, change=stop, **options)
    found = train(toys, killed, 'epoch_1.pth', **options)
    assert differences(expected, state_of(found)) == []
    names = [{path.name for path in folder.glob('best_*')} for folder in (tmp_path / 'whole', killed)]
    assert names[0] == names[1] != set()
    # Checkpoints that hold their validation don't get another one.
    best = next(path.name for path in killed.glob('best_*'))
    again = train(toys, killed, best, **options)
    assert differences(expected, state_of(again)) == []


def test_what_cannot_be_exact_is_said(toys, tmp_path, caplog):
    options = dict(**WITHIN, optim_wrapper__accumulative_counts=2)
    caplog.set_level('WARNING', logger='mmengine')
    with pytest.MonkeyPatch.context() as patch:
        warnings: list[str] = []
        patch.setattr('mmmlc.engine.hooks.exact_resume._warn', warnings.append)
        train(toys, tmp_path, **options)
        assert [text for text in warnings if 'iteration 3 lies between two updates' in text]
        assert not [text for text in warnings if 'iteration 4' in text]
        warnings.clear()
        train(toys, tmp_path, 'iter_4.pth', train_dataloader__batch_size=6, **options)
        assert [text for text in warnings if 'batch 1 of 3 of an epoch, which now has 4' in text]
        warnings.clear()
        checkpoint = torch.load(tmp_path / 'iter_4.pth', weights_only=False)
        checkpoint['meta']['exact_resume']['processes'] = 8
        torch.save(checkpoint, tmp_path / 'eight.pth')
        train(toys, tmp_path, 'eight.pth', **options)
        assert [text for text in warnings if 'with 8 processes and goes on with 1' in text]


def in_process(rank: int, data: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    options = dict(
        model__train_cfg=MIX,
        randomness=dict(seed=None, diff_rank_seed=True),
        default_hooks__checkpoint__max_keep_ckpts=-1,
        launcher='pytorch',
        model_wrapper_cfg=dict(
            type='mmengine.MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
        ),
    )
    expected = state_of(train(data, folder / 'work', **options))
    found = state_of(train(data, folder / 'work', 'epoch_1.pth', **options))
    (folder / f'{rank}.txt').write_text('\n'.join(differences(expected, found)))


def test_two_processes(toys, tmp_path):
    torch.multiprocessing.spawn(in_process, (toys, tmp_path), nprocs=2)
    assert [(tmp_path / f'{rank}.txt').read_text() for rank in range(2)] == ['', '']
