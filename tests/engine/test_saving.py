"""Checkpoints survive kills and full disks: whatever happens while one is written."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.places import tool
from helpers.processes import as_group, forked
from helpers.tiny_training import tiny_config, train, without_slow_parts
from mmengine.config import Config
from mmengine.fileio import FileClient, LocalBackend, register_backend
from mmengine.fileio.backends import BaseStorageBackend

from mmmlc.engine import TrainingEndedError, ending_in_a_sentence, load_checkpoint_file
from mmmlc.engine.prepare import save_whole
from mmmlc.engine.resume import check_whole, read_training
from mmmlc.evaluation import MultiLabelMetric
from mmmlc.whole_files import write_whole

torture = tool('torture')


@pytest.fixture(autouse=True, scope='module')
def quick():
    with without_slow_parts():
        yield


def names(folder: Path) -> set[str]:
    """The files that a run keeps."""
    return {path.name for path in folder.iterdir() if path.is_file() and path.suffix != '.py'}


@pytest.fixture
def rising(monkeypatch):
    """Every validation is better than the one before."""

    def now(*args):
        return {'mAP': time.time()}

    monkeypatch.setattr(MultiLabelMetric, 'compute_metrics', now)


@pytest.fixture(scope='module')
def three_epochs(tmp_path_factory) -> tuple[Config, Path, list]:
    """A training, its folder, and what it writes when nobody kills it."""
    folder = tmp_path_factory.mktemp('three')
    cfg = tiny_config(folder, epochs=3)
    cfg.default_hooks.checkpoint.save_best = 'mAP'
    return cfg, folder, torture.all_writes(cfg, folder)


# What the third of three epochs writes first, and what part of it gets to the disk: of the
# checkpoint of the second epoch, of its pointer, of the checkpoint of the third.
KILLS = [(0, 1), (0, 0.5), (0, 1.0), (1, 0.5), (1, 1.0), (2, 0.3)]


@pytest.mark.parametrize(('file', 'part'), KILLS)
def test_a_killed_write_loses_nothing(three_epochs, file, part):
    cfg, folder, writes = three_epochs
    start = next(i for i, (name, _) in enumerate(writes) if 'epoch_2' in name)
    before = sum(size for _, size in writes[: start + file])
    size = writes[start + file][1]
    limit = before + (int(part * size) if isinstance(part, float) else part)
    assert torture.trial(cfg, folder, writes, limit) == ''


def test_mmengine_loses_the_training(three_epochs, monkeypatch):
    """Or the test above would prove nothing."""
    cfg, folder, _ = three_epochs
    cfg = cfg.copy()
    cfg.default_hooks.checkpoint.type = 'mmengine.CheckpointHook'
    # The package offers the function of this name.
    monkeypatch.setattr(sys.modules['mmmlc.engine.prepare'], 'save_whole', lambda cfg: None)
    writes = torture.all_writes(cfg, folder)
    start = next(i for i, (name, _) in enumerate(writes) if 'epoch_2' in name)
    limit = sum(size for _, size in writes[:start]) + writes[start][1] // 2
    assert torture.trial(cfg, folder, writes, limit) == 'it could not be resumed'


@pytest.mark.parametrize('step', range(5, 14))
def test_killed_between_the_steps(tmp_path, monkeypatch, rising, step):
    """Before the n-th renaming or removal: the run goes on, and ends with one file of a kind."""
    cfg = tiny_config(tmp_path, epochs=3)
    cfg.default_hooks.checkpoint.save_best = 'mAP'
    steps = iter(range(1, 1000))

    def killing(plain):
        def step_or_die(path, *args, **kwargs):
            if path.parent == tmp_path / 'work' and next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(path, *args, **kwargs)

        return step_or_die

    def killed():
        monkeypatch.setattr(Path, 'replace', killing(Path.replace))
        monkeypatch.setattr(Path, 'unlink', killing(Path.unlink))
        train(cfg)

    assert forked([killed], tmp_path) == [str(-signal.SIGKILL)]
    runner = train(cfg, 'auto')
    assert runner.epoch == 3
    assert names(tmp_path / 'work') == {'epoch_3.pth', 'best_mAP_epoch_3.pth', 'last_checkpoint'}


def test_the_file_that_is_left_from_a_kill_goes(tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    for name in ('.epoch_9.pth.part', '.last_checkpoint.12.part'):
        (work / name).write_text('half')
    train(tiny_config(tmp_path))
    assert names(work) == {'epoch_2.pth', 'last_checkpoint'}


def test_what_is_kept(tmp_path, rising):
    """As mmengine's hook keeps it: so many checkpoints, and the best one of each metric."""
    cfg = tiny_config(tmp_path, epochs=4)
    cfg.default_hooks.checkpoint.update(save_best='mAP', max_keep_ckpts=2)
    runner = train(cfg)
    kept = {'epoch_3.pth', 'epoch_4.pth', 'best_mAP_epoch_4.pth', 'last_checkpoint'}
    assert names(tmp_path / 'work') == kept
    assert (tmp_path / 'work/last_checkpoint').read_text() == str(tmp_path / 'work/epoch_4.pth')
    saved = load_checkpoint_file(tmp_path / 'work/epoch_4.pth')['message_hub']['runtime_info']
    assert (
        saved['keep_ckpt_ids'][-2:] == [3, 4] == list(runner.message_hub.get_info('keep_ckpt_ids'))
    )
    assert saved['best_ckpt'] == str(tmp_path / 'work/best_mAP_epoch_4.pth')
    assert saved['best_score'] == runner.message_hub.get_info('best_score') > 1e9  # a time


def test_two_best_ones(tmp_path, monkeypatch):
    """One metric rises, one falls: the first is best at the end, the other at the beginning."""
    values = iter(range(1, 9))

    def metrics(*args):
        value = next(values)
        return {'mAP': value, 'OF1': -value}

    monkeypatch.setattr(MultiLabelMetric, 'compute_metrics', metrics)
    cfg = tiny_config(tmp_path, epochs=3)
    cfg.default_hooks.checkpoint.update(save_best=['mAP', 'OF1'], rule='greater')
    train(cfg)
    best = {'best_mAP_epoch_3.pth', 'best_OF1_epoch_1.pth'}
    assert names(tmp_path / 'work') == best | {'epoch_3.pth', 'last_checkpoint'}
    cfg.default_hooks.checkpoint.update(save_best='mAp', rule='greater')
    with pytest.raises(ValueError, match="save_best is 'mAp', val_evaluator gives mAP, OF1"):
        train(cfg)


def test_by_iterations(tmp_path):
    cfg = tiny_config(tmp_path, epochs=3)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=1)
    train(cfg)
    assert names(tmp_path / 'work') == {'iter_3.pth', 'last_checkpoint'}


@pytest.fixture
def one_epoch(tmp_path) -> Config:
    """A config of two epochs, the first of which is trained."""
    cfg = tiny_config(tmp_path)
    train(tiny_config(tmp_path, epochs=1))
    return cfg


def assert_first_is_good(work: Path) -> None:
    path = work / 'epoch_1.pth'
    check_whole(path, read_training(path))
    assert (work / 'last_checkpoint').read_text() == str(path)
    assert names(work) == {'epoch_1.pth', 'last_checkpoint'}


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize('place', ['checkpoint', 'its fsync', 'pointer'])
def test_full_disk(one_epoch, tmp_path, monkeypatch, code, place):
    def full(*args):
        raise OSError(code, os.strerror(code))

    def full_pointer(path, content):
        (path.parent / 'epoch_2.pth').unlink()  # for the comparison below: it is whole
        monkeypatch.setattr(os, 'fsync', full)
        write_whole(path, content)

    if place == 'checkpoint':
        monkeypatch.setattr(LocalBackend, 'put', full)
    elif place == 'its fsync':
        monkeypatch.setattr(os, 'fsync', full)
    else:
        monkeypatch.setattr('mmmlc.engine.hooks.checkpoint.write_whole', full_pointer)
    file = 'last_checkpoint' if place == 'pointer' else 'epoch_2.pth'
    needed = r'0\.0 MB' if place == 'pointer' else r'0\.1 MB'  # 33 letters, some 40,000 weights
    sentence = (
        rf'^{tmp_path}/work/{file} cannot be written: it needs {needed}, [\d.,]+ MB are free in '
        rf'{tmp_path}/work \({os.strerror(code)}\); the last good checkpoint is '
        rf'{tmp_path}/work/epoch_1.pth, to go on from it: python tools/train.py .* --resume$'
    )
    with pytest.raises(TrainingEndedError, match=sentence):
        train(one_epoch, 'auto')
    assert_first_is_good(tmp_path / 'work')


def test_a_limit_on_files(one_epoch, tmp_path):
    """A real one: the system writes a part and refuses the rest."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        with ending_in_a_sentence():
            train(one_epoch, 'auto')

    (text,) = forked([limited], tmp_path)
    assert text.startswith(f'SystemExit: {tmp_path}/work/epoch_2.pth cannot be written: it needs')
    assert 'a limit on the size of files, ulimit -f); the last good checkpoint is' in text
    assert '\n' not in text
    assert_first_is_good(tmp_path / 'work')


def test_a_log_on_a_full_disk_is_a_sentence_too(capsys):
    sentence = r'/a/log\.txt cannot be written: .* MB are free'
    with pytest.raises(SystemExit, match=sentence), ending_in_a_sentence():
        raise OSError(errno.ENOSPC, 'No space left on device', '/a/log.txt')
    with pytest.raises(OSError, match='Permission'), ending_in_a_sentence():
        raise PermissionError(errno.EACCES, 'Permission denied', '/a/log.txt')


def test_no_process_is_left_waiting(one_epoch, tmp_path, monkeypatch):
    """The first cannot save, the second has nothing to save: both end."""

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(LocalBackend, 'put', full)
    one_epoch.launcher = 'pytorch'
    errors = as_group(lambda rank: train(one_epoch, 'auto'), tmp_path)
    assert errors[0].startswith(
        f'TrainingEndedError: {tmp_path}/work/epoch_2.pth cannot be written'
    )
    assert errors[1].startswith(f'RelayedError: process 0: {tmp_path}/work/epoch_2.pth')
    assert_first_is_good(tmp_path / 'work')


def test_weights_that_are_no_numbers_are_not_saved(one_epoch, tmp_path, monkeypatch):
    step = torch.optim.SGD.step

    def spoil(optimizer, *args, **kwargs):
        step(optimizer, *args, **kwargs)
        with torch.no_grad():
            optimizer.param_groups[0]['params'][-1].fill_(torch.inf)

    monkeypatch.setattr(torch.optim.SGD, 'step', spoil)
    text = r'The weights are not finite after iteration 2: \S+ holds NaN or infinite values\. They'
    with pytest.raises(TrainingEndedError, match=text):
        train(one_epoch, 'auto')
    assert_first_is_good(tmp_path / 'work')


class Memory(BaseStorageBackend):
    """A storage without files that can be renamed."""

    content: dict[str, bytes] = {}

    def get(self, filepath):
        return self.content[filepath]

    def get_text(self, filepath, encoding='utf-8'):
        return self.content[filepath].decode(encoding)

    def put(self, obj, filepath):
        self.content[filepath] = bytes(obj)

    def join_path(self, filepath, *filepaths):
        return '/'.join((filepath, *filepaths))

    def isfile(self, filepath):
        return filepath in self.content

    def remove(self, filepath):
        del self.content[filepath]


def test_a_storage_that_is_no_folder(tmp_path):
    FileClient.register_backend('memory', Memory, force=True, prefixes='memory')
    register_backend('memory', Memory, force=True, prefixes='memory')
    cfg = tiny_config(tmp_path)
    cfg.default_hooks.checkpoint.out_dir = 'memory://bucket'
    train(cfg)
    assert [*Memory.content] == ['memory://bucket/work/epoch_2.pth']
    assert (tmp_path / 'work/last_checkpoint').read_text() == 'memory://bucket/work/epoch_2.pth'


@pytest.mark.parametrize(
    ('before', 'after'),
    [
        (dict(type='mmengine.CheckpointHook', interval=3), 'mmmlc.CheckpointHook'),
        (dict(type='CheckpointHook', interval=3), 'mmmlc.CheckpointHook'),
        (dict(type='my.CheckpointHook', interval=3), 'my.CheckpointHook'),
        (None, None),
    ],
)
def test_configs_with_another_hook(before, after):
    cfg = Config(dict(default_hooks=dict(checkpoint=before)))
    save_whole(cfg)
    hook = cfg.default_hooks.checkpoint
    assert hook is None if after is None else (hook.type, hook.interval) == (after, 3)
    cfg = Config({})
    save_whole(cfg)  # mmengine would add its own
    assert cfg.default_hooks.checkpoint.type == 'mmmlc.CheckpointHook'


def test_a_written_file_is_whole_or_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / 'folder' / 'file'
    write_whole(path, b'old')

    def fail(*args):
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='Input/output error'):
        write_whole(path, b'new')
    assert path.read_bytes() == b'old' and os.listdir(path.parent) == ['file']
