"""Run a list of trainings and tests, and write their results as tables.

python tools/sweep.py docs/results/mcar_toy.yaml
python tools/sweep.py docs/results/mcar_toy.yaml --only baseline mcar --dry-run
python tools/sweep.py docs/results/mcar_toy.yaml --report

Stopped or killed, the same command goes on with what is missing. See docs/sweeps.md.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from mmmlc.apis.sweep import command_line, run_jobs
from mmmlc.apis.sweep_file import Sweep, read_sweep
from mmmlc.apis.sweep_plan import Job, plan, with_needs
from mmmlc.apis.sweep_report import lost_results, write_report


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('sweep', help='YAML file; the tables are written beside it')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='these runs and what they need')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--list', action='store_true', help='show the state of every job')
    what.add_argument('--dry-run', action='store_true', help='show the commands that are due')
    what.add_argument('--report', action='store_true', help='write the tables without running')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='also replace tables that hold results which are not here',
    )
    return parser.parse_args()


def seconds_of(job: Job, finished: Sequence[Job]) -> float | None:
    """Expected seconds of a job: the mean of its run's other seeds, else of all of its kind."""
    alike = [other for other in finished if other.kind == job.kind]
    alike = [other for other in alike if other.run is job.run] or alike
    return statistics.fmean(other.record()['seconds'] for other in alike) if alike else None


class TimeLeft(ProgressColumn):
    """Expected time of the jobs that are left, less what has passed since the last update."""

    def render(self, task) -> Text:
        """Seconds as minutes; a question mark before the first job has finished."""
        left, since = task.fields['left'], task.fields['since']
        if left is None:
            return Text('time left ?')
        left = max(0, left - (time.time() - since))
        return Text(f'{left / 60:.0f} min left' if left > 90 else f'{left:.0f} s left')


class Display:
    """A line per finished job, and a bar with the time left below."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self.finished = [job for job in jobs if job.record() is not None]
        self.due = [job for job in jobs if job not in self.finished]
        self.progress = progress
        self.task = progress.add_task(
            '', total=len(jobs), completed=len(self.finished), left=0, since=0
        )

    def start(self, job: Job, note: str) -> None:
        """A job starts."""
        if note:
            self.progress.console.print(f'{job.name}: {note}; it runs again', markup=False)
        expected = [seconds_of(other, self.finished) for other in self.due]
        left = None if None in expected else sum(expected)
        self.progress.update(self.task, description=job.name, left=left, since=time.time())

    def end(self, job: Job, result: str) -> None:
        """A job ended, one way or the other."""
        self.due.remove(job)
        if job.record() is not None:
            self.finished.append(job)
        self.progress.advance(self.task)
        self.progress.console.print(f'{job.name}: {result}', markup=False)


def show_states(jobs: Sequence[Job], console: Console) -> None:
    """Print what is finished and what is due."""
    table = Table('run', 'seed', 'job', 'state', 'seconds')
    for job in jobs:
        record = job.record()
        seconds = f'{record["seconds"]:.0f}' if record else ''
        table.add_row(job.run.name, str(job.seed), job.kind, job.state(), seconds)
    console.print(table)


def run(jobs: Sequence[Job], root: Path, console: Console) -> bool:
    """Run what is due and say what went wrong; returns whether all is finished."""
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=console) as progress:
        display = Display(jobs, progress)
        outcome = run_jobs(jobs, root, display.start, display.end)
    for message in [*outcome.blocked, *outcome.busy, *outcome.failed]:
        console.print(f'\n{message}', markup=False, highlight=False, soft_wrap=True)
    return outcome.complete


def report(sweep: Sweep, jobs: Sequence[Job], root: Path, overwrite: bool) -> list[str]:
    """Write the tables, elsewhere if results in those that are there would be lost; what to say."""
    lost = [] if overwrite else lost_results(sweep, jobs)
    folder = root / 'work_dirs/sweeps' / sweep.name if lost else None
    lines = [f'wrote {path}' for path in write_report(sweep, jobs, folder)]
    if lost:
        lines.append(
            f'kept {sweep.path.with_suffix(".md")} and .json: they have results that '
            f'{root}/work_dirs lacks ({", ".join(lost[:3])}{", ..." if len(lost) > 3 else ""}); '
            '--overwrite replaces them'
        )
    return lines


def main() -> None:
    """Run, list or report."""
    args = parse_args()
    # As for Ctrl-C: end the command that runs, then ourselves.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console, root = Console(), Path.cwd()
    try:
        sweep = read_sweep(args.sweep)
        every = plan(sweep, root)
        jobs = with_needs(every, args.only) if args.only else every
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    if args.list:
        return show_states(jobs, console)
    if args.dry_run:
        for job in jobs:
            if job.record() is None:
                print(command_line(job))
        return None
    try:
        complete = args.report or run(jobs, root, console)
    except KeyboardInterrupt:
        sys.exit('interrupted; the same command goes on with what is missing')
    try:
        lines = report(sweep, every, root, args.overwrite)
    except ValueError as error:
        sys.exit(str(error))
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    sys.exit(0 if complete else 1)


if __name__ == '__main__':
    main()
