"""What the command-line tools are made of."""

from .launch import build_runner, load_config, load_weights

__all__ = ['build_runner', 'load_config', 'load_weights']
