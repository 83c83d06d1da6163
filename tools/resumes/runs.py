"""Run a training in a process of its own, kill it, resume it, compare what came out."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module

from mmmlc.engine.launch import build_runner
from mmmlc.engine.prepare import RunOptions

STEPS = 1000  # at most
TIMES = ('time', 'data_time', 'memory')  # measured, not computed
# Importing takes longer than such a training. The server has run nothing, so that it can be forked.
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(
    # mmmlc first: mmdet asks for mmcv's operators when it is imported.
    [
        'mmmlc.registry',
        'mmpretrain.datasets',
        'mmpretrain.models',
        'mmdet.models',
        'mmmlc.systems.all',
    ]
)


class Moment(NamedTuple):
    """So long after an iteration has begun."""

    iteration: int
    seconds: float


class Outcome(NamedTuple):
    """What a training leaves: everything in it must be equal bit for bit."""

    final: dict[str, Any]
    kills: int


class _Reporter(Hook):
    """Tells the parent process where the training stands, and writes what is left at its end."""

    priority = 'VERY_HIGH'

    def __init__(self, stamps: Any, out: Path) -> None:
        self.stamps = stamps
        self.out = out

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        self.stamps[runner.iter] = time.monotonic()

    def after_train(self, runner: Runner) -> None:
        self.stamps[runner.iter] = time.monotonic()
        torch.save(state_of(runner), self.out)


def state_of(runner: Runner) -> dict[str, Any]:
    """All that a training has computed: weights, averages, optimiser, schedules, logged numbers."""
    averages = [hook.ema_model for hook in runner.hooks if hasattr(hook, 'ema_model')]
    logs = runner.message_hub.log_scalars
    return dict(
        model=runner.model.state_dict(),
        averages=[model.state_dict() for model in averages],
        optimizer=runner.optim_wrapper.state_dict(),
        schedulers=[s.state_dict() for s in runner.param_schedulers],
        logs={k: _history(v) for k, v in logs.items() if k.split('/')[-1] not in TIMES},
        counts=(runner.epoch, runner.iter),
    )


def _history(buffer: HistoryBuffer) -> torch.Tensor:
    return torch.tensor(buffer.data[0])


def _train(cfg: Config, resume: bool, stamps: Any, out: Path, threads: int) -> None:
    """In the child process."""
    log = open(Path(cfg.work_dir) / 'output.txt', 'a')  # noqa: SIM115 (until the process ends)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    torch.set_num_threads(threads)
    runner_module.collect_env = dict  # asks compilers for their versions
    runner = build_runner(cfg, options=RunOptions(resume='auto' if resume else None))
    runner.register_hook(_Reporter(stamps, out))
    runner.train()


class Training:
    """A training that is run once from start to end, or killed and resumed.

    Args:
        cfg: Its config; checkpoints and output go to its ``work_dir``.
        threads: Of torch.
    """

    def __init__(self, cfg: Config, threads: int = 1) -> None:
        self.cfg = cfg
        self.threads = threads
        self.folder = Path(cfg.work_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Shared without a lock, which a killed process would never release.
        self.stamps = CONTEXT.RawArray('d', STEPS)

    def run(self, moments: tuple[Moment, ...] = ()) -> Outcome:
        """Train to the end, killed at each of the moments; RuntimeError if the training fails."""
        out = self.folder / 'final.pt'
        out.unlink(missing_ok=True)
        kills = 0
        for moment in (*sorted(moments), None):
            killed = self._run_once(moment, resume=kills > 0, out=out)
            kills += killed
            if not killed:
                break
        return Outcome(torch.load(out, weights_only=False), kills)

    def _run_once(self, moment: Moment | None, resume: bool, out: Path) -> bool:
        """Whether the process was killed."""
        self.stamps[:] = [0.0] * STEPS
        arguments = (self.cfg.copy(), resume, self.stamps, out, self.threads)
        process = CONTEXT.Process(target=_train, args=arguments)
        process.start()
        try:
            if moment is not None:
                _wait_for(process, self.stamps, moment)
                if process.is_alive():
                    os.kill(process.pid, signal.SIGKILL)
        finally:
            with contextlib.suppress(KeyboardInterrupt):
                process.join()
        if process.exitcode not in (0, -signal.SIGKILL):
            text = (self.folder / 'output.txt').read_text()[-3000:]
            raise RuntimeError(f'{self.folder}: exit status {process.exitcode}\n{text}')
        return process.exitcode != 0

    def durations(self) -> list[float]:
        """Seconds from the beginning of each iteration of the last run to that of the next."""
        stamps = [stamp for stamp in self.stamps if stamp]
        return [after - before for before, after in zip(stamps[:-1], stamps[1:], strict=True)]


def _wait_for(process: Any, stamps: Any, moment: Moment) -> None:
    while process.is_alive() and not any(stamps[moment.iteration :]):
        time.sleep(0.001)
    # No longer than the iteration, which may be faster than the one that the moment was drawn from:
    # the training would be over.
    end = time.monotonic() + moment.seconds
    while time.monotonic() < end and not any(stamps[moment.iteration + 1 :]):
        time.sleep(0.001)


def random_moments(durations: list[float], count: int, seed: int | str) -> tuple[Moment, ...]:
    """Moments drawn evenly over a training; the same for the same seed, but for the durations."""
    rng = random.Random(seed)
    found = []
    for place in sorted(rng.uniform(0, len(durations)) for _ in range(count)):
        iteration = min(int(place), len(durations) - 1)
        found.append(Moment(iteration, (place - iteration) * durations[iteration]))
    return tuple(found)


def differences(one: Any, other: Any, where: str = '') -> list[str]:
    """Names of what differs, by as little as a bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = [] if one.keys() == other.keys() else [f'{where}: {one.keys() ^ other.keys()}']
        both = one.keys() & other.keys()
        return found + [d for k in both for d in differences(one[k], other[k], f'{where}/{k}')]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        if len(one) != len(other):
            return [f'{where}: {len(one)} and {len(other)} items']
        pairs = enumerate(zip(one, other, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f'{where}/{i}')]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if torch.equal(one, other):
            return []
        if one.shape != other.shape:
            return [f'{where}: {tuple(one.shape)} and {tuple(other.shape)}']
        return [f'{where}: up to {(one.double() - other.double()).abs().max():.3g}']
    return [] if one == other else [f'{where}: {one!r} and {other!r}']
