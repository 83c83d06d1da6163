"""Which checkpoint a training goes on from, and what it compares before it does."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.processes import as_group
from helpers.tiny_training import tiny_config, train, without_slow_parts
from mmengine.config import Config

from mmmlc.engine import load_checkpoint_file, save_checkpoint_file
from mmmlc.engine.config_text import read_config_text
from mmmlc.engine.resume import choose_start, find_checkpoint


@pytest.fixture(autouse=True, scope='module')
def quick():
    with without_slow_parts():
        yield


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    """The folder of a training of three epochs, all kept, with data beside it."""
    folder = tmp_path_factory.mktemp('trained')
    cfg = tiny_config(folder, epochs=3)
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=-1, save_best='mAP')
    train(cfg)
    return folder


@pytest.fixture
def work(trained, tmp_path) -> Path:
    """A copy of its work directory: moved, as far as the files know."""
    return Path(shutil.copytree(trained / 'work', tmp_path / 'work'))


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """What is said about the resuming."""
    lines: list[str] = []
    for module in ('resume', 'takeover', 'records'):
        monkeypatch.setattr(f'mmmlc.engine.{module}.print_log', lambda text, *_: lines.append(text))
    return lines


def fake_runner(work: Path, file: Path | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        work_dir=str(work), hooks=[], _resume=True, _load_from=file and str(file)
    )


def chosen(work: Path, file: Path | None = None) -> str | None:
    """The name of the checkpoint that a run in a folder takes."""
    runner = fake_runner(work, file)
    choose_start(runner, begin_from=None)
    assert runner._resume is (runner._load_from is not None)
    return runner._load_from and Path(runner._load_from).relative_to(work).name


def flip(path: Path) -> None:
    """Change one bit of a weight."""
    with zipfile.ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda info: info.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + 5000] ^= 1
    path.write_bytes(content)


def edit(path: Path, change) -> None:
    content = load_checkpoint_file(path)
    change(content)
    save_checkpoint_file(content, path)


def not_a_number(content: dict) -> None:
    content['state_dict']['backbone.bn1.bias'][3] = torch.nan


POINTERS = [
    ('', 'is empty or missing'),
    (None, 'is empty or missing'),
    ('/elsewhere/epoch_3.pth', None),
    ('/elsewhere/epoch_7.pth', "names '/elsewhere/epoch_7.pth'"),
    ('epoch_1.pth', "names 'epoch_1.pth'"),
    ('\0\1 nonsense', 'names'),
]


@pytest.mark.parametrize(('text', 'line'), POINTERS)
def test_the_pointer_is_not_believed(work, said, text, line):
    pointer = work / 'last_checkpoint'
    pointer.unlink() if text is None else pointer.write_text(text)
    assert chosen(work) == 'epoch_3.pth'
    found = [entry for entry in said if 'taken is the newest whole checkpoint' in entry]
    assert (line is None and not found) or line in found[0]


DAMAGES = {
    'cut': (lambda path: path.write_bytes(path.read_bytes()[:-1000]), 'cannot be read'),
    'empty': (lambda path: path.write_bytes(b''), 'cannot be read'),
    'flipped': (flip, 'Bad CRC-32 for'),
    'text': (lambda path: path.write_text('<html>'), 'cannot be read'),
    'diverged': (lambda path: edit(path, not_a_number), 'diverged training: state_dict.\\S+ holds'),
}


@pytest.mark.parametrize('kind', DAMAGES)
def test_a_damaged_one_is_passed_over(work, said, kind):
    damage, reason = DAMAGES[kind]
    damage(work / 'epoch_3.pth')
    assert chosen(work) == 'epoch_2.pth'
    (line,) = [line for line in said if 'passed over' in line]
    assert line.startswith('--resume: epoch_3.pth is passed over: it ')
    assert re.search(reason, line)
    with pytest.raises(ValueError, match=rf'epoch_3.pth .*; take --resume {work}/epoch_2.pth'):
        chosen(work, work / 'epoch_3.pth')
    # And it goes on, to the same end, over the damaged file.
    cfg = tiny_config(work.parent, epochs=3)
    assert train(cfg, 'auto').epoch == 3
    assert chosen(work) == 'epoch_3.pth'


def test_nothing_good_stops_and_leaves_the_files(work, said):
    for path in work.glob('epoch_*.pth'):
        path.write_bytes(path.read_bytes()[:-1])
    before = {path.name: path.stat().st_mtime_ns for path in work.glob('*.pth')}
    with pytest.raises(ValueError, match='holds no checkpoint to go on from') as caught:
        train(tiny_config(work.parent, epochs=3), 'auto')
    text = str(caught.value)
    assert text.count('cannot be read') == 3 and 'best_mAP_epoch_' in text and len(text) < 2000
    now = {path.name: path.stat().st_mtime_ns for path in work.iterdir()}
    assert {name: now[name] for name in before} == before
    (work / 'epoch_3.pth').unlink()
    shutil.copy(next(work.glob('best_*.pth')), work / 'epoch_3.pth')
    advice = 'epoch_3.pth has no optimiser state: it is for tests. To begin a .*load_from='
    with pytest.raises(ValueError, match=advice):
        chosen(work, work / 'epoch_3.pth')


def test_an_empty_folder_begins_where_the_config_begins(trained, tmp_path, said):
    cfg = tiny_config(tmp_path, epochs=1)
    cfg.load_from = str(trained / 'work/epoch_3.pth')
    cfg.optim_wrapper.optimizer.lr = 0.0
    runner = train(cfg, 'auto')
    assert any('holds no checkpoint, the training begins' in line for line in said)
    expected = load_checkpoint_file(cfg.load_from)['state_dict']
    assert all(
        torch.equal(value, expected[name]) for name, value in runner.model.named_parameters()
    )
    assert runner.epoch == 1


def test_the_newest_is_the_last_saved(work):
    """Who went back to an earlier epoch goes on from there, also when times of files are new."""
    later = load_checkpoint_file(work / 'epoch_3.pth')['meta']['mmmlc']['saved'] + 1
    edit(work / 'epoch_2.pth', lambda content: content['meta']['mmmlc'].update(saved=later))
    os.utime(work / 'epoch_2.pth', (1, 1))
    assert chosen(work) == 'epoch_2.pth'
    for name in ('epoch_1', 'epoch_2', 'epoch_3'):  # of mmengine's hook: by its clock
        edit(work / f'{name}.pth', lambda content: content['meta'].pop('mmmlc'))
    edit(work / 'epoch_1.pth', lambda content: content['meta'].update(time='29990101_000000'))
    assert chosen(work) == 'epoch_1.pth'


def test_records_follow_the_folder(trained, work, tmp_path, said):
    """Best and kept checkpoints are those of the new place; the old place stays as it is."""
    best = next(work.glob('best_*.pth')).name
    before = sorted(os.listdir(trained / 'work'))
    cfg = tiny_config(tmp_path, epochs=3)
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=2, save_best='mAP')
    edit(
        work / 'epoch_3.pth',
        lambda c: c['message_hub']['runtime_info'].update(keep_ckpt_ids=[1, 2, 3]),
    )
    info = train(cfg, 'auto').message_hub
    assert info.get_info('best_ckpt') == str(work / best)
    assert info.get_info('last_ckpt') == str(work / 'epoch_3.pth')
    assert {path.name for path in work.glob('epoch_*.pth')} == {'epoch_2.pth', 'epoch_3.pth'}
    (work / best).unlink()
    info = train(cfg, 'auto').message_hub
    # The validation that was to follow this checkpoint is made up for, and is the best one now.
    assert info.get_info('best_ckpt') == str(work / 'best_mAP_epoch_3.pth')
    assert Path(info.get_info('best_ckpt')).is_file()
    assert any('the best checkpoint, is gone' in line for line in said)
    # Of another folder: its numbers are not those of these files.
    cfg.work_dir = str(tmp_path / 'other')
    (tmp_path / 'other').mkdir()
    shutil.copy(work / 'epoch_2.pth', tmp_path / 'other/epoch_1.pth')
    train(cfg, trained / 'work/epoch_3.pth')
    assert (tmp_path / 'other/epoch_1.pth').is_file()
    assert sorted(os.listdir(trained / 'work')) == before


def test_all_processes_take_what_the_first_finds(work, tmp_path):
    """The second sees an empty folder, as one on another machine can for a while."""

    def choose(rank: int) -> None:
        runner = fake_runner(work if rank == 0 else tmp_path)
        choose_start(runner, None)
        raise RuntimeError(runner._load_from)

    assert as_group(choose, tmp_path) == [f'RuntimeError: {work}/epoch_3.pth'] * 2
    for path in work.glob('*.pth'):
        path.write_bytes(b'')
    (tmp_path / 'store').unlink()
    errors = as_group(choose, tmp_path)
    assert errors[0] == errors[1] and 'holds no checkpoint to go on from' in errors[0]


def test_what_a_config_text_may_hold(tmp_path):
    mark = tmp_path / 'mark'
    text = f"a = dict(b=__import__('os').mkdir({str(mark)!r}), c=(1, -inf))\nimport os\nd = 'x'\n"
    found = read_config_text(text)
    assert found['a']['c'] == [1, float('-inf')] and found['d'] == 'x' and not mark.exists()
    assert read_config_text('a = (') is None
    assert read_config_text('a = ' + '(' * 10_000) is None


SGD = dict(type='mmengine.SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
STEPS = dict(type='mmengine.MultiStepLR', milestones=[1], gamma=0.5)
CLASSES = [f'class {i}' for i in range(20)]
ORDER = CLASSES[1:] + CLASSES[:1]


def optimizer(**changes):
    return dict(type='mmengine.OptimWrapper', optimizer=SGD | changes)


# What is changed in the config of a resumed training, and why it is refused.
REFUSED = {
    'order of classes': (
        {'train_dataloader.dataset.classes': ORDER},
        "train_dataloader.dataset: another order of the classes.* index 0: 'class 1', in the "
        "checkpoint 'class 0'",
    ),
    'number of classes': (
        {'train_dataloader.dataset.classes': CLASSES[:19], 'model.head.num_classes': 19},
        "other classes, 19 and 20 in the checkpoint; .* index 19: None, in the .* 'class 19'",
    ),
    'model': (
        {'model.backbone.base_channels': 8, 'model.head.in_channels': 32},
        r'model: \d+ of \d+ weights have other shapes, the first: \S+, \(8, 4, .*in the checkpoint '
        r'\(4, 4',
    ),
    'optimiser': (
        {'optim_wrapper': optimizer() | dict(optimizer=dict(type='mmengine.AdamW', lr=0.01))},
        'optim_wrapper.optimizer.type is AdamW, the checkpoint has the state of SGD',
    ),
    'rate': (
        {'optim_wrapper': optimizer(lr=0.02)},
        r'optim_wrapper.optimizer.lr is 0.02, the checkpoint keeps 0.01 \(parameter group 0\)',
    ),
    'weight decay': (
        {'optim_wrapper': optimizer(weight_decay=0.1)},
        'optim_wrapper.optimizer.weight_decay is 0.1, the checkpoint keeps 0.0005',
    ),
    'groups': (
        {'optim_wrapper.paramwise_cfg': dict(bias_lr_mult=2.0)},
        'optim_wrapper: 62 parameter groups, the checkpoint has 1|parameter groups',
    ),
    'milestones': (
        {'param_scheduler.milestones': [2]},
        r'param_scheduler\[0\] \(MultiStepLR\): milestones is \[2\] epochs, the .* \[1\]',
    ),
    'gamma': (
        {'param_scheduler.gamma': 0.1},
        r'\(MultiStepLR\): gamma is 0.1, the checkpoint keeps 0.5',
    ),
    'another schedule': (
        {'param_scheduler': dict(type='mmengine.CosineAnnealingLR', T_max=3, _delete_=True)},
        r'param_scheduler\[0\] \(CosineAnnealingLR\): the checkpoint has another kind of schedule',
    ),
    'one more schedule': (
        {'param_scheduler': [STEPS, STEPS]},
        'param_scheduler: 2 schedules, the checkpoint has 1',
    ),
    'batch': (
        {'train_dataloader.batch_size': 1},
        '1 images per update, 2 in the training of the checkpoint',
    ),
    'accumulation': (
        {'optim_wrapper.accumulative_counts': 2},
        '4 images per update, 2 in the training of the checkpoint',
    ),
    'seed': (
        {'randomness.seed': 1},
        r'randomness.seed \(--seed\) is 1, the training of the checkpoint has 0',
    ),
    'loop': (
        {'train_cfg': dict(type='IterBasedTrainLoop', max_iters=3, val_interval=9, _delete_=True),
         'param_scheduler.by_epoch': False},
        'train_cfg: by_epoch=True, type=IterBasedTrainLoop, in the training of the checkpoint ',
    ),
}  # fmt: skip


def changed(folder: Path, trained: Path, changes: dict, epochs: int = 3) -> Config:
    """The config of the training, with its data, in another work directory."""
    cfg = tiny_config(folder, epochs=epochs)
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=-1, save_best='mAP')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(trained / 'data')
    for key, value in changes.items():
        *path, last = key.split('.')
        part = cfg
        for name in path:
            part = part[name]
        part[last] = value
    cfg.param_scheduler.pop('_delete_', None) if isinstance(cfg.param_scheduler, dict) else None
    cfg.train_cfg.pop('_delete_', None)
    return cfg


@pytest.mark.parametrize('what', REFUSED)
def test_refused(trained, tmp_path, what):
    changes, line = REFUSED[what]
    cfg = changed(tmp_path, trained, changes)
    if 'classes' in what:
        cfg.val_dataloader.dataset.classes = cfg.train_dataloader.dataset.classes
    path = trained / 'work/epoch_1.pth'
    with pytest.raises(ValueError, match=line) as caught:
        train(cfg, path)
    text = str(caught.value)
    assert text.startswith(f'--resume {path}: the config does not go on with the training')
    assert f'load_from={path}' in text and len(text.splitlines()) <= 5


def test_other_classes_of_the_same_number(trained, tmp_path):
    """Their files call the first one by another name."""
    cfg = tiny_config(tmp_path, epochs=3)
    for path in (tmp_path / 'data/annotations').iterdir():
        path.write_text(path.read_text().replace('"class 0"', '"apple"'))
    line = r"other classes, 20 and 20 in the checkpoint; .* index 0: 'apple', in the .* 'class 0'"
    with pytest.raises(ValueError, match=line):
        train(cfg, trained / 'work/epoch_1.pth')


def test_moving_average_that_the_config_lacks(trained, tmp_path):
    cfg = changed(tmp_path, trained, {'custom_hooks': [dict(type='mmengine.EMAHook')]}, epochs=1)
    train(cfg)
    with pytest.raises(ValueError, match='the checkpoint holds a moving average of the weights'):
        train(changed(tmp_path, trained, {}), 'auto')


@pytest.mark.parametrize('key', ['total_steps', 'eta_max', 'end'])
def test_one_cycle(trained, tmp_path, key):
    """Its end is not that of a longer training."""
    schedule = dict(type='mmengine.OneCycleLR', eta_max=0.1, total_steps=4)
    cfg = changed(tmp_path, trained, {'param_scheduler': schedule}, epochs=2)
    train(cfg)
    if key == 'end':
        cfg.train_cfg.max_epochs = 5
        text = 'end is 5 epochs, the checkpoint keeps 2'
    else:
        cfg.param_scheduler[key] = 5
        text = f'{key} is 5( epochs)?, the checkpoint keeps [4.0]'
    with pytest.raises(ValueError, match=rf'param_scheduler\[0\] \(OneCycleLR\): {text}'):
        train(cfg, 'auto')


# What may be changed, and the line that says so.
TAKEN_OVER = {
    'nothing': ({}, None),
    'workers': ({'train_dataloader.num_workers': 1}, 'train_dataloader.num_workers is 1, was 0'),
    'log': (
        {'default_hooks.logger.interval': 7},
        'default_hooks.logger.interval is 7, was 50',
    ),
    'loss': (
        {'model.head.loss.weight': 2.0},
        'model.head.loss.weight is 2.0, was (nothing)',
    ),
    'clipping': (
        {'optim_wrapper.clip_grad': dict(max_norm=1.0)},
        "optim_wrapper.clip_grad is {'max_norm': 1.0}, was (nothing)",
    ),
    'no validation': (
        {'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None},
        'val_cfg is None',
    ),
    'seed left open': ({'randomness.seed': None}, 'randomness.seed is 0, as in the checkpoint'),
    'longer': ({'train_cfg.max_epochs': 4}, 'train_cfg.max_epochs is 4, was 3'),
    'shorter': ({'train_cfg.max_epochs': 2}, 'train_cfg.max_epochs is 2, was 3'),
    'over': (
        {'train_cfg.max_epochs': 1},
        'the checkpoint has trained 1 epochs, train_cfg.max_epochs is 1: nothing is left to do',
    ),
}


@pytest.mark.parametrize('what', TAKEN_OVER)
def test_taken_over(trained, tmp_path, said, what):
    changes, line = TAKEN_OVER[what]
    cfg = changed(tmp_path, trained, changes)
    runner = train(cfg, trained / 'work/epoch_1.pth')
    assert runner.epoch == cfg.train_cfg.max_epochs
    about = [entry.removeprefix('--resume: ') for entry in said if entry.startswith('--resume: ')]
    work_dir = f"work_dir is '{tmp_path / 'work'}', was '{trained / 'work'}'"
    assert work_dir[:80] in [entry[:80] for entry in about]
    assert line is None or any(entry.startswith(line) for entry in about), about
    limit = 6 if changes else 1
    assert len([entry for entry in about if 'is' in entry]) <= limit


SCHEDULES = dict(
    step=dict(type='mmengine.StepLR', step_size=1, gamma=0.5),
    exponential=dict(type='mmengine.ExponentialLR', gamma=0.7),
    one_cycle=dict(type='mmengine.OneCycleLR', eta_max=0.1, total_steps=4),
    cosine=dict(type='mmengine.CosineAnnealingLR', T_max=4),
)


@pytest.mark.parametrize('kind', SCHEDULES)
def test_a_schedule_goes_on_in_a_longer_training(trained, tmp_path, kind):
    """As if the training had been that long from its beginning."""
    schedule = SCHEDULES[kind]
    work = {'param_scheduler': schedule}
    train(changed(tmp_path, trained, work, epochs=2))
    longer = train(changed(tmp_path, trained, work, epochs=4), 'auto')
    whole = changed(tmp_path, trained, work, epochs=4)
    whole.work_dir = str(tmp_path / 'whole')
    assert longer.optim_wrapper.get_lr() == train(whole).optim_wrapper.get_lr()
    if kind == 'step':
        assert longer.optim_wrapper.get_lr()['lr'] == pytest.approx([0.01 / 8])


def test_flexible_runner(tmp_path):
    """Which counts an epoch too many when a best checkpoint is saved."""
    for epochs in (1, 3):
        cfg = tiny_config(tmp_path, epochs=epochs)
        cfg.runner_type = 'FlexibleRunner'
        cfg.strategy = dict(type='SingleDeviceStrategy')
        cfg.default_hooks.checkpoint.save_best = 'mAP'
        runner = train(cfg, 'auto')
        assert (runner.epoch, runner.iter) == (epochs, epochs)
    cfg.train_dataloader.batch_size = 1
    with pytest.raises(ValueError, match='1 images per update, 2 in the training'):
        train(cfg, 'auto')


def test_a_pipe_is_passed_over(tmp_path):
    """Reading it would wait for a writer, for ever."""
    os.mkfifo(tmp_path / 'epoch_9.pth')
    found = find_checkpoint([tmp_path / 'epoch_9.pth', tmp_path / 'gone.pth'])
    assert found.path is None
    assert [one.reason for one in found.passed] == ['is no regular file'] * 2
