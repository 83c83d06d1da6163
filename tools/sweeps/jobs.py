"""Run the jobs of a sweep one by one; what is finished is not run again."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import torch

from mmmlc.whole_files import write_whole

from .plan import Job

TOOLS = Path(__file__).resolve().parents[1]
# For glibc: keep freed memory. Otherwise a CPU spends much of its time mapping large tensors.
KEEP_MEMORY = dict(MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='100000000000')


class JobFailed(RuntimeError):
    """A command failed or left no result; the message ends with the tail of its log."""


class JobBusy(RuntimeError):
    """Another process runs the job."""


@dataclass
class Outcome:
    """What became of the jobs that had to be run; messages name the job."""

    done: list[Job] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)  # a job they need failed or is busy
    busy: list[str] = field(default_factory=list)  # run by another process

    @property
    def complete(self) -> bool:
        """Whether every job is finished."""
        return not (self.failed or self.blocked or self.busy)


def run_jobs(
    jobs: Sequence[Job],
    root: Path,
    on_start: Callable[[Job, str], None] = lambda job, note: None,
    on_end: Callable[[Job, str], None] = lambda job, result: None,
) -> Outcome:
    """Run the jobs that are not finished; a failure stops only the jobs that need it.

    Args:
        jobs: Of :func:`plan`, each after those it needs.
        root: Folder to run in.
        on_start: Called with a job that starts and a note on what was there before.
        on_end: Called with a job that ended, and how.
    """
    outcome = Outcome()
    for job in jobs:
        if job.is_finished():
            continue
        if waits := [need.name for need in job.needs if not need.is_finished()]:
            outcome.blocked.append(f'{job.name} waits for {waits[0]}')
            on_end(job, f'not run, {waits[0]} is not finished')
            continue
        try:
            record = run_job(job, root, lambda note, job=job: on_start(job, note))
        except JobBusy as error:
            outcome.busy.append(str(error))
            on_end(job, 'running in another process')
        except JobFailed as error:
            outcome.failed.append(str(error))
            on_end(job, 'failed')
        else:
            outcome.done.append(job)
            on_end(job, f'{record["seconds"]:.0f} s')
    return outcome


def run_job(job: Job, root: Path, on_start: Callable[[str], None] = lambda note: None) -> dict:
    """Run a job and write its record.

    Args:
        job: Job whose needs are finished.
        root: Folder to run in.
        on_start: Told when the job has its lock and starts, with a note on what was there before.

    Returns:
        The record.

    Raises:
        JobBusy: another process runs it (also one left over from a sweep that was killed).
        JobFailed: it failed.
    """
    with _locked(job) as lock:
        if job.is_finished():  # by another process meanwhile
            return job.record()
        on_start(_make_room(job))
        job.config.dump(job.folder / f'{job.kind}_config.py')
        start = time.time()
        _call(job, command_line(job), root, lock)
        record = dict(
            fingerprint=job.fingerprint,
            seconds=round(time.time() - start, 1),
            finished=time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime()),
            **_surroundings(root),
        )
        if job.kind == 'train':
            checkpoint_of(job)
        else:
            record['metrics'] = _read_metrics(job)
            _check_predictions(job)
        write_whole(job.record_path, (json.dumps(record, indent=2) + '\n').encode())
        return record


@contextlib.contextmanager
def _locked(job: Job) -> Iterator[TextIO]:
    """Lock run and seed. The command inherits the lock, and keeps it if we are killed."""
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    with open(job.folder.with_suffix('.lock'), 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobBusy(f'{job.name} is still running in another process') from None
        yield file


def _make_room(job: Job) -> str:
    """Remove what an unfinished job left; set a finished training of another config aside."""
    old, note = job.any_record(), ''
    if old is not None and old['fingerprint'] == job.fingerprint:
        note = 'its predictions are not there, which a comparison needs'
    elif old is not None:
        note = 'its config changed'
    elif job.work_dir.exists():
        note = 'it was interrupted or failed'
    if old is not None and job.kind == 'train':
        aside = job.folder.with_name(f'{job.folder.name}-{old["fingerprint"][:8]}')
        shutil.rmtree(aside, ignore_errors=True)
        job.folder.rename(aside)
        note += f', the old one is now {aside.name}'
    job.record_path.unlink(missing_ok=True)
    if job.work_dir.exists():
        shutil.rmtree(job.work_dir)
    job.folder.mkdir(parents=True, exist_ok=True)
    return note


def command_line(job: Job, missing: str | None = None) -> list[str]:
    """The words of a job's command.

    Args:
        job: The job.
        missing: What stands for a checkpoint that is not there yet; by default that is an error.

    Raises:
        JobFailed: no checkpoint, see above.
    """
    fields = dict(python=sys.executable, tools=TOOLS, config=job.folder / f'{job.kind}_config.py')
    if job.kind == 'test':
        trained = job.needs[-1]
        try:
            fields['checkpoint'] = checkpoint_of(trained, job.run.checkpoint)
        except JobFailed:
            if missing is None:
                raise
            fields['checkpoint'] = trained.work_dir / missing
    words = [word.format(**fields) for word in shlex.split(job.command)]
    words += ['--work-dir', str(job.work_dir)]
    return [*words, '--out', str(job.results)] if job.keeps_predictions else words


def checkpoint_of(job: Job, name: str | None = None) -> str:
    """A training's checkpoint of this name, or its last one; JobFailed if it is not there."""
    if name is None:
        pointer = job.work_dir / 'last_checkpoint'
        if not pointer.is_file():
            raise JobFailed(f'{job.name} left no {pointer}')
        name = Path(pointer.read_text().strip()).name  # written as an absolute path
    path = job.work_dir / name
    if not path.is_file():
        raise JobFailed(f'{job.name} left no {path}')
    return str(path)


def child_environment() -> dict[str, str]:
    """Environment of the commands: memory is kept, one thread per core unless set otherwise."""
    threads = os.environ.get('OMP_NUM_THREADS', str(len(os.sched_getaffinity(0))))
    return os.environ | KEEP_MEMORY | dict(OMP_NUM_THREADS=threads)


def _call(job: Job, words: list[str], root: Path, lock: TextIO) -> None:
    with open(job.log, 'w', encoding='utf-8') as log:
        try:
            process = subprocess.Popen(
                words,
                cwd=root,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        except OSError as error:
            raise JobFailed(f'{job.name}: {shlex.join(words)}: {error}') from error
        try:
            status = process.wait()
        except BaseException:
            # Its whole group: workers and the processes of a launcher too.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if status:
        raise JobFailed(f'{job.name} failed with status {status}, {job.log}:\n{tail(job.log)}')


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return '\n'.join(path.read_text(encoding='utf-8', errors='replace').splitlines()[-lines:])


def _read_metrics(job: Job) -> dict[str, float | None]:
    """The metrics that mmengine's LoggerHook wrote at the end of the test; None for NaN."""
    files = sorted(path for path in job.work_dir.glob('*/*.json') if path.parent != job.results)
    if not files:
        raise JobFailed(f'{job.name} left no metrics in {job.work_dir}:\n{tail(job.log)}')
    content = json.loads(files[-1].read_text())
    return {
        key: value if math.isfinite(value) else None
        for key, value in content.items()
        if isinstance(value, int | float) and key not in ('time', 'data_time')
    }


def _check_predictions(job: Job) -> None:
    if job.keeps_predictions and not job.predictions.is_file():
        raise JobFailed(
            f'{job.name} left no {job.predictions}, which `compare` needs: expected '
            'mmmlc.MultiLabelMetric as the first metric of test_evaluator, and a test_command that '
            'hands on --out'
        )


def _surroundings(root: Path) -> dict[str, str | int | bool | None]:
    """What the result may depend on and the fingerprint leaves out."""
    commit = _git(root, 'rev-parse', '--short=10', 'HEAD')
    device = torch.cuda.get_device_name(0) if torch.cuda.device_count() else 'CPU'
    return dict(
        commit=commit,
        uncommitted=bool(_git(root, 'status', '--porcelain', '--untracked-files=no')),
        torch=torch.__version__,
        python=platform.python_version(),
        device=device,
        cores=len(os.sched_getaffinity(0)),
        threads=int(child_environment()['OMP_NUM_THREADS']),
    )


def _git(root: Path, *words: str) -> str | None:
    try:
        result = subprocess.run(['git', *words], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None
