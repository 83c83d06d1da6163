"""What mmengine keeps of every run in a process, for ever: logger, message hub, visualizer, scope.

A logger holds its log file open. A process that trains and tests again and again would run out of
files; here the records of a run go with its runner.
"""

from __future__ import annotations

import weakref

from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.utils import ManagerMixin
from mmengine.visualization import Visualizer

_KINDS: tuple[type[ManagerMixin], ...] = (MMLogger, MessageHub, Visualizer, DefaultScope)
_runners: weakref.WeakSet[Runner] = weakref.WeakSet()


def end_with(runner: Runner) -> None:
    """Let the records of a run end when its runner is gone, unless another has the same name."""
    _runners.add(runner)
    name = runner.experiment_name
    weakref.finalize(runner, _forget, name).atexit = False


def _forget(name: str) -> None:
    if any(runner.experiment_name == name for runner in _runners):
        return
    for kind in _KINDS:
        record = kind._instance_dict.pop(name, None)
        for handler in record.handlers if isinstance(record, MMLogger) else ():
            handler.close()
