"""The jobs of a sweep: one per training and per test of a seed, each after those it needs.

A job is finished when its record, ``train.json`` or ``test.json`` in
``work_dirs/sweeps/<sweep>/<run>/seed<k>``, carries the job's fingerprint: a hash of the resolved
config (with overrides, epochs and seed), the command, and the jobs it builds on.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmmlc.evaluation.prediction_files import FILE_NAME

from .sweep_file import Run, Sweep

WORK_DIR = re.compile(r'\{work_dir:([\w.+-]+)\}')


@dataclass(frozen=True, eq=False)
class Job:
    """A training or a test of one run and seed."""

    run: Run
    seed: int
    kind: str  # 'train' or 'test'
    folder: Path  # of run and seed
    config: Config
    command: str  # with {config} and other fields to fill in
    needs: tuple[Job, ...]  # trainings; of a test the last one is that of its checkpoint
    keeps_predictions: bool = False  # of a test, for a comparison

    @property
    def name(self) -> str:
        """What the job is called in messages."""
        return f'{self.run.name} seed {self.seed} {self.kind}'

    @property
    def work_dir(self) -> Path:
        """Logs and checkpoints."""
        return self.folder / self.kind

    @property
    def log(self) -> Path:
        """Everything that the command printed."""
        return self.folder / f'{self.kind}.log'

    @property
    def results(self) -> Path:
        """Files of the metrics, where predictions are kept."""
        return self.work_dir / 'results'

    @property
    def predictions(self) -> Path:
        """Scores and labels of the tested images, where they are kept."""
        return self.results / FILE_NAME

    @property
    def record_path(self) -> Path:
        """The result, there once the job is finished."""
        return self.folder / f'{self.kind}.json'

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides the result, except code, data and machine."""
        needs = [need.fingerprint for need in self.needs]
        config = self.config.to_dict()
        content = [self.kind, config, self.command, self.run.checkpoint, needs]
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def any_record(self) -> dict | None:
        """The record on disk, also one of another fingerprint; None if there is none."""
        try:
            return json.loads(self.record_path.read_text(encoding='utf-8'))
        except FileNotFoundError:
            return None
        except json.JSONDecodeError as error:
            raise ValueError(f'{self.record_path} is broken ({error}): remove it') from error

    def record(self) -> dict | None:
        """The record of this very job; None if it has not been run."""
        record = self.any_record()
        return record if record and record['fingerprint'] == self.fingerprint else None

    def is_finished(self) -> bool:
        """Whether its record is there and, where they are to be kept, its predictions."""
        kept = not self.keeps_predictions or self.predictions.is_file()
        return kept and self.record() is not None

    def state(self) -> str:
        """``'finished'``, ``'changed'`` (finished with another config) or ``'to run'``."""
        if self.is_finished():
            return 'finished'
        return 'changed' if self.any_record() and self.record() is None else 'to run'


def plan(sweep: Sweep, root: Path) -> list[Job]:
    """All jobs of a sweep, each after those it needs.

    Args:
        sweep: Sweep file.
        root: Folder that config paths start from and that holds ``work_dirs``.

    Raises:
        ValueError: an override, ``epochs`` or ``{work_dir:...}`` that fits nothing.
    """
    jobs: list[Job] = []
    trainings: dict[tuple[str, int], Job] = {}
    for run in sweep.runs.values():
        config = resolve_config(sweep, run, root)
        kept = any(run.name in pair for pair in sweep.compare)
        for seed in run.seeds:
            folder = root / 'work_dirs/sweeps' / sweep.name / run.name / f'seed{seed}'
            cfg, needs = _fill_in(config, run, seed, trainings, root)
            if run.test_of is None:
                command = sweep.train_command + ('' if sweep.validate else ' --no-validate')
                job = Job(run, seed, 'train', folder, cfg, command, needs)
                trainings[run.name, seed] = job
                jobs.append(job)
            trained = trainings[run.test_of or run.name, seed]
            needs = (*needs, trained)
            jobs.append(Job(run, seed, 'test', folder, cfg, sweep.test_command, needs, kept))
    return jobs


def resolve_config(sweep: Sweep, run: Run, root: Path) -> Config:
    """Config of a run with its overrides and epochs; the seed is still open."""
    where = f'{sweep.path}: run {run.name}'
    cfg = Config.fromfile(root / run.config)
    known = {*cfg, *inspect.signature(Runner.__init__).parameters, 'auto_scale_lr'}
    for key in run.overrides:
        if key.split('.')[0] not in known:
            raise ValueError(f'{where}: override {key!r} fits no key of {run.config}')
    cfg.merge_from_dict(run.overrides)
    if run.epochs is not None:
        _set_epochs(cfg, run.epochs, where)
    cfg.pop('work_dir', None)
    return cfg


def _set_epochs(cfg: Config, epochs: int, where: str) -> None:
    """Set the length of the training and of schedules that span the whole of it."""
    before, cfg.train_cfg.max_epochs = cfg.train_cfg.max_epochs, epochs
    schedules = cfg.get('param_scheduler') or []
    for schedule in schedules if isinstance(schedules, list) else [schedules]:
        spans = [key for key in ('total_steps', 'T_max') if key in schedule]
        if spans and schedule[spans[0]] in (before, epochs):
            schedule[spans[0]] = epochs
        elif before != epochs and (spans or 'milestones' in schedule or 'step_size' in schedule):
            raise ValueError(
                f'{where}: epochs {epochs} does not say what becomes of {schedule["type"]}, which '
                f'is made for {before}: give train_cfg.max_epochs and param_scheduler in overrides'
            )


def _fill_in(
    config: Config, run: Run, seed: int, trainings: dict[tuple[str, int], Job], root: Path
) -> tuple[Config, tuple[Job, ...]]:
    """A copy with the seed and with ``{work_dir:NAME}`` replaced; the jobs that NAMEs stand for.

    The folders are relative to ``root``, where the commands run: results move with it.
    """
    needs: dict[str, Job] = {}

    def folder_of(match: re.Match) -> str:
        name = match[1]
        seeds = [s for n, s in trainings if n == name]
        if not seeds or (len(seeds) > 1 and seed not in seeds):
            raise ValueError(
                f'run {run.name} seed {seed}: {match[0]}: no run above it trains that seed'
            )
        needs[name] = trainings[name, seed if seed in seeds else seeds[0]]
        return str(needs[name].work_dir.relative_to(root))

    def fill(node: object) -> object:
        if isinstance(node, str):
            return WORK_DIR.sub(folder_of, node)
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        return type(node)(map(fill, node)) if type(node) in (list, tuple) else node

    cfg = Config(fill(config.to_dict()))
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    return cfg, tuple(needs.values())


def with_needs(jobs: Iterable[Job], names: Iterable[str]) -> list[Job]:
    """The jobs of some runs and the trainings that they need, in the same order."""
    jobs, names = list(jobs), set(names)
    if unknown := names - {job.run.name for job in jobs}:
        raise ValueError(f'--only: {min(unknown)!r} is no run of the sweep')
    wanted: set[Job] = set()

    def want(job: Job) -> None:
        wanted.add(job)
        for need in job.needs:
            want(need)

    for job in jobs:
        if job.run.name in names:
            want(job)
    return [job for job in jobs if job in wanted]
