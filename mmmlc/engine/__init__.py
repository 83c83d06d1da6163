"""From a config to a run: preparation of the config, runner, checkpoints, general hooks."""

import mmmlc.registry  # noqa: F401 - says what is missing before the rest fails

from .checkpoints import load_checkpoint_file, save_checkpoint_file, use_strict_loaders
from .launch import build_runner, leave_processes, load_config, load_network, load_weights
from .prepare import RunOptions, prepare

__all__ = [
    'RunOptions',
    'build_runner',
    'leave_processes',
    'load_checkpoint_file',
    'load_config',
    'load_network',
    'load_weights',
    'prepare',
    'save_checkpoint_file',
    'use_strict_loaders',
]
