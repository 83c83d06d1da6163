"""What of mmengine's messages goes to the terminal: the log file has all of them."""

from __future__ import annotations

import logging

from mmengine.config import Config
from mmengine.hooks import LoggerHook
from mmengine.runner import Runner

# Hundreds of lines between the command and the first loss.
_BEGINNINGS = (
    'Config:\n',
    'Hooks will be executed in the following order:',
    'paramwise_options -- ',
    'backbone feature_info[',
    'Distributed training is not used, all SyncBatchNorm',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)
_ENDING = 'is skipped since its requires_grad=False'


def is_short(record: logging.LogRecord) -> bool:
    """Whether a message is for the terminal."""
    text = record.getMessage()
    if text.startswith(_BEGINNINGS) or text.endswith(_ENDING):
        return False
    return 'System environment:' not in text[:200]


def shorten_terminal(logger: logging.Logger) -> None:
    """Leave the long messages out of the terminal, and say which file has them."""
    files = []
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            files.append(handler.baseFilename)
        elif isinstance(handler, logging.StreamHandler) and is_short not in handler.filters:
            handler.addFilter(is_short)
    for name in files[:1]:
        logger.info(f'environment, config and hooks: {name}')


def show_end_of_epochs(runner: Runner, cfg: Config) -> None:
    """Loss and time left at the end of each epoch, unless the config says ``ignore_last``.

    mmengine shows them every ``interval`` iterations alone: never, where an epoch is shorter.
    """
    if 'ignore_last' in (cfg.get('default_hooks') or {}).get('logger', {}):
        return
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            hook.ignore_last = False
