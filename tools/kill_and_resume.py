"""Kill trainings at random moments, resume them, and compare with uninterrupted ones, bit for bit.

python tools/kill_and_resume.py --trials 10 --systems all
python tools/kill_and_resume.py --trials 3 --systems rdal sca --seed 1 --work-dir /tmp/kills

The toy configs of each system are trained on a CPU, cut down to 9 iterations on 12 images. A trial
kills such a training (SIGKILL) one to three times and resumes it as often. Weights, averages,
optimiser, schedules and all that was logged must be those of a training that nobody disturbed. The
trials differ in the config, in the number of workers, and in whether checkpoints are written after
epochs or within them. Stopped, the same command goes on with the trials that are missing.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from pathlib import Path

from resumes.runs import Outcome, Training, differences, random_moments
from resumes.toys import toy_config, toy_configs, write_toys

WITHIN = dict(default_hooks__checkpoint__by_epoch=False, default_hooks__checkpoint__interval=2)
ATTEMPTS = 5
WORKERS = dict(train_dataloader__num_workers=2, train_dataloader__persistent_workers=True)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--trials', type=int, default=10, help='of each system (%(default)s)')
    parser.add_argument('--systems', nargs='+', default=['all'], help='folders of configs, or all')
    parser.add_argument('--seed', type=int, default=0, help='of the kills (%(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='of torch (%(default)s)')
    parser.add_argument('--work-dir', default='work_dirs/kill_and_resume', help='(%(default)s)')
    args = parser.parse_args()
    if args.trials < 1 or args.threads < 1:
        parser.error('--trials and --threads: expected at least 1')
    return args


class Trials:
    """The trials of one command line, with their results in a file."""

    def __init__(self, folder: Path, seed: int, threads: int) -> None:
        self.folder = folder
        self.seed = seed
        self.threads = threads
        self.data = write_toys(folder)
        self.results = folder / f'results_seed{seed}_threads{threads}.jsonl'
        self.references: dict[Path, tuple[Outcome, list[float]]] = {}

    def done(self) -> dict[str, dict]:
        """Results of earlier commands, by name."""
        lines = self.results.read_text().splitlines() if self.results.exists() else []
        return {result['trial']: result for result in map(json.loads, lines)}

    def reference(self, path: Path) -> tuple[Outcome, list[float]]:
        """An uninterrupted training, and how long its iterations took."""
        if path not in self.references:
            work_dir = self._empty('uninterrupted', path)
            training = Training(toy_config(path, self.data, work_dir), self.threads)
            self.references[path] = training.run(), training.durations()
        return self.references[path]

    def run(self, name: str, path: Path, number: int) -> dict:
        """One trial; its result, which is also written to the file."""
        expected, durations = self.reference(path)
        options = dict(**(WITHIN if number // 2 % 2 else {}), **(WORKERS if number % 2 else {}))
        result = dict(trial=name, config=path.stem, kills=0, options=sorted(options))
        wanted = 1 + number % 3
        for attempt in range(ATTEMPTS):
            cfg = toy_config(path, self.data, self._empty('killed', path), **options)
            moments = random_moments(durations, wanted, f'{self.seed} {name} {attempt}')
            try:
                outcome = Training(cfg, self.threads).run(moments)
            except RuntimeError as error:
                result.update(differences=[str(error)])
                break
            found = differences(expected.final, outcome.final)
            result.update(kills=outcome.kills, differences=found)
            # A training that ends before its last kill shows less than it should: other moments.
            if found or outcome.kills == wanted:
                break
        else:
            result['differences'] = [f'ended before {wanted} kills, {ATTEMPTS} times']
        with self.results.open('a') as file:
            file.write(json.dumps(result) + '\n')
        return result

    def _empty(self, kind: str, path: Path) -> Path:
        folder = self.folder / kind / path.stem
        shutil.rmtree(folder, ignore_errors=True)
        return folder


def main() -> int:
    """Run what is missing and count."""
    args = parse_args()
    logging.disable(logging.INFO)
    try:
        systems = toy_configs(None if 'all' in args.systems else args.systems)
    except ValueError as error:
        sys.exit(f'kill_and_resume.py: {error}')
    trials = Trials(Path(args.work_dir).absolute(), args.seed, args.threads)
    done, failed, kills = trials.done(), 0, 0
    for system, paths in systems.items():
        good = 0
        for number in range(args.trials):
            name = f'{system} {number}'
            result = done.get(name) or trials.run(name, paths[number % len(paths)], number)
            good += not result['differences']
            kills += result['kills']
            for difference in result['differences'][:5]:
                print(f'{name}, {result["config"]}: {difference}', flush=True)
        failed += args.trials - good
        print(f'{system}: {good} of {args.trials} without a bit of difference', flush=True)
    total = args.trials * len(systems)
    print(f'all: {total - failed} of {total}, {kills} kills, seed {args.seed}')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
