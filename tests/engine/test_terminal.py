"""What goes to the terminal, and that the log file has all of it."""

from __future__ import annotations

import logging

import pytest
from helpers.tiny_training import tiny_config, train, without_slow_parts
from mmengine.hooks import LoggerHook
from mmengine.logging import MMLogger

from mmmlc.engine import build_runner
from mmmlc.engine.terminal import is_short, shorten_terminal


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Lines of the terminal and of the log file, of a training."""
    folder = tmp_path_factory.mktemp('terminal')
    cfg = tiny_config(folder, epochs=1)
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'backbone': dict(lr_mult=0.1)})
    shown: list[logging.LogRecord] = []
    with without_slow_parts(), pytest.MonkeyPatch.context() as monkeypatch:
        handle = logging.StreamHandler.emit

        def emit(self, record):
            if not isinstance(self, logging.FileHandler):
                shown.append(record)
            handle(self, record)

        monkeypatch.setattr(logging.StreamHandler, 'emit', emit)
        runner = train(cfg)
    (log,) = (folder / 'work').rglob('*.log')
    return [record.getMessage() for record in shown], log, runner


def test_few_lines_before_the_first_loss(run):
    shown, log, _ = run
    first = next(i for i, text in enumerate(shown) if text.startswith('Epoch(train)'))
    lines = '\n'.join(shown[:first]).splitlines()
    assert 1 <= len(lines) <= 40
    assert sum(f'environment, config and hooks: {log}' in line for line in lines) == 1
    assert not any('paramwise_options' in text for text in shown)


def test_the_log_file_has_everything(run):
    _, log, _ = run
    text = log.read_text()
    for part in ('System environment:', 'Config:', 'Hooks will be executed', 'paramwise_options'):
        assert part in text
    assert 'Epoch(train)' in text


def test_an_epoch_shorter_than_the_interval_shows_its_loss(run):
    shown, _, runner = run
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, LoggerHook))
    assert len(runner.train_dataloader) < hook.interval
    (line,) = (text for text in shown if text.startswith('Epoch(train)'))
    assert 'loss: ' in line and 'eta: ' in line


def test_a_config_may_leave_out_the_end_of_an_epoch(tmp_path):
    cfg = tiny_config(tmp_path, epochs=1)
    cfg.default_hooks.logger.ignore_last = True
    with without_slow_parts():
        runner = build_runner(cfg)
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, LoggerHook))
    assert hook.ignore_last


def test_once_for_a_logger(tmp_path):
    logger = MMLogger('test_once_for_a_logger', log_file=str(tmp_path / 'a.log'))
    for _ in range(3):
        shorten_terminal(logger)
    streams = [h for h in logger.handlers if not isinstance(h, logging.FileHandler)]
    assert [handler.filters.count(is_short) for handler in streams] == [1]


def test_other_messages_stay():
    for text in ('Config', 'the config: a', 'a layer is skipped', 'loss: 3', ''):
        record = logging.LogRecord('n', logging.INFO, 'p', 1, text, None, None)
        assert is_short(record)
