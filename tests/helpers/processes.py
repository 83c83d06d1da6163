"""Processes made by forking, which takes no time: whatever was imported and patched is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine import dist


def forked(actions: list[Callable[[], None]], folder: Path) -> list[str]:
    """Run each action in a process of its own; the text of its error, or nothing.

    A process that dies without an error gives its exit status.
    """
    children = [(_fork(action, folder / f'error_{i}'), i) for i, action in enumerate(actions)]
    texts = []
    for pid, i in children:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        path = folder / f'error_{i}'
        texts.append(path.read_text() if path.is_file() else str(status or ''))
        path.unlink(missing_ok=True)
    return texts


def _fork(action: Callable[[], None], error: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    torch.set_num_threads(1)  # threads do not survive a fork
    status = 1
    try:
        action()
        status = 0
    except BaseException as caught:
        error.write_text(f'{type(caught).__name__}: {caught}')
    finally:
        os._exit(status)


def as_group(action: Callable[[int], None], folder: Path, size: int = 2) -> list[str]:
    """Run an action, given the rank, in several processes that talk by gloo; their errors."""

    def member(rank: int) -> None:
        os.environ |= dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size))
        store = f'file://{folder}/store'
        torch.distributed.init_process_group('gloo', store, rank=rank, world_size=size)
        dist.init_local_group(0, size)
        action(rank)

    return forked([lambda rank=rank: member(rank) for rank in range(size)], folder)
