"""Run a list of trainings and tests, and write their results as tables.

python tools/sweep.py docs/results/mcar_toy.yaml
python tools/sweep.py docs/results/mcar_toy.yaml --only baseline mcar --dry-run
python tools/sweep.py docs/results/mcar_toy.yaml --report

Stopped or killed, the same command goes on with what is missing. See docs/sweeps.md.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from sweeps.jobs import command_line, run_jobs
from sweeps.plan import Job, plan, with_needs
from sweeps.report import lost_results, results_of, write_report
from sweeps.sweep_file import Sweep, read_sweep


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


class Progress:
    """A line per job that starts or ends, with what is left and the time expected for it."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.finished = [job for job in jobs if job.is_finished()]
        self.due = [job for job in jobs if job not in self.finished]

    def start(self, job: Job, note: str) -> None:
        """A job starts."""
        expected = [seconds_of(other, self.finished) for other in self.due]
        left = '?' if None in expected else f'{sum(expected) / 60:.1f} min'
        again = f' again, as {note}' if note else ''
        print(f'{job.name}: runs{again} ({len(self.due)} left: {left})', flush=True)

    def end(self, job: Job, result: str) -> None:
        """A job ended, one way or the other."""
        self.due.remove(job)
        if job.is_finished():
            self.finished.append(job)
        print(f'{job.name}: {result}', flush=True)


def show_states(jobs: Sequence[Job]) -> None:
    """Print what is finished and what is due."""
    width = max(len(job.name) for job in jobs)
    for job in jobs:
        record = job.record()
        seconds = f'{record["seconds"]:.0f} s' if record else ''
        print(f'{job.name:{width}}  {job.state():8}  {seconds}'.rstrip())


def run(jobs: Sequence[Job], root: Path) -> bool:
    """Run what is due and say what went wrong; returns whether all is finished."""
    progress = Progress(jobs)
    outcome = run_jobs(jobs, root, progress.start, progress.end)
    for message in [*outcome.blocked, *outcome.busy, *outcome.failed]:
        print(f'\n{message}')
    return outcome.complete


def report(sweep: Sweep, jobs: Sequence[Job], root: Path, overwrite: bool) -> None:
    """Write the tables, elsewhere if results in those that are there would be lost."""
    results = results_of(sweep, jobs)
    lost = [] if overwrite else lost_results(sweep, results)
    folder = root / 'work_dirs/sweeps' / sweep.name if lost else sweep.path.parent
    for path in write_report(sweep, results, folder):
        print(f'wrote {path}')
    if lost:
        print(
            f'kept {sweep.path.with_suffix(".md")} and .json: they have results that '
            f'{root}/work_dirs lacks ({", ".join(lost[:3])}{", ..." if len(lost) > 3 else ""}); '
            '--overwrite replaces them'
        )


def main() -> None:
    """Run, list or report."""
    args = parse_args()
    # As for Ctrl-C: end the command that runs, then ourselves.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = Path.cwd()
    try:
        sweep = read_sweep(args.sweep)
        every = plan(sweep, root)
        jobs = with_needs(every, args.only) if args.only else every
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    if args.list:
        return show_states(jobs)
    if args.dry_run:
        for job in jobs:
            if not job.is_finished():
                print(shlex.join(command_line(job, missing='CHECKPOINT')))
        return None
    try:
        complete = args.report or run(jobs, root)
    except KeyboardInterrupt:
        sys.exit('interrupted; the same command goes on with what is missing')
    try:
        report(sweep, every, root, args.overwrite)
    except ValueError as error:
        sys.exit(str(error))
    sys.exit(0 if complete else 1)


if __name__ == '__main__':
    main()
