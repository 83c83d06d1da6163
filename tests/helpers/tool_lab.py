"""The command-line tools, as a user calls them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from .places import ROOT


def call(*words: object, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in the checkout; its output is in the assertion message if it fails."""
    result = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        env=os.environ
        | dict(PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}', PYTHONPATH=str(ROOT))
        | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def data_options(folder: Path) -> list[str]:
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    roots = [f'{loader}.dataset.data_root={folder}' for loader in loaders]
    workers = [f'{loader}.num_workers=0' for loader in loaders]
    return [*roots, *workers, *(f'{loader}.persistent_workers=False' for loader in loaders)]


def make_toys(folder: Path, train: int, val: int) -> Path:
    """A small ToyScenes."""
    call(sys.executable, 'tools/make_toy_scenes.py', folder, f'--train={train}', f'--val={val}')
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
