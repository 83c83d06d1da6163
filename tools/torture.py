"""Kill trainings while they write checkpoints, and resume them, for developers.

python tools/torture.py configs/mcar/mcar_r18_toy.py   # 20 kills at random bytes
python tools/torture.py configs/rdal/rdal_toy.py --trials 5 --seed 1

A training of three epochs on a few toy images is killed (SIGKILL) after so many bytes of its
checkpoints and pointers have been written, then resumed with --resume. It counts as resumed if it
goes on from the last epoch whose checkpoint was whole when the kill came, and gets to its end. The
exit status is 1 if one was not.
"""

from __future__ import annotations

import argparse
import builtins
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmmlc.engine import RunOptions, build_runner, load_config

EPOCHS = 3


class CountedFile(io.FileIO):
    """A file being written; the process dies in the middle of the write that reaches a limit."""

    def __init__(self, path: str, written: list[tuple[str, int]], limit: float):
        super().__init__(path, 'w')
        self.path = path
        self.written = written
        self.limit = limit

    def write(self, data: Any) -> int:
        """Write as many bytes as are allowed, all processes of writing together."""
        left = self.limit - sum(size for _, size in self.written)
        if len(data) >= left:
            super().write(memoryview(data)[: int(left)])
            os.kill(os.getpid(), signal.SIGKILL)
        self.written.append((os.path.basename(self.path), len(data)))
        return super().write(data) or 0


def count_writes(folder: Path, limit: float = float('inf')) -> list[tuple[str, int]]:
    """From here on this process dies when so many bytes of checkpoints are written in a folder.

    Returns:
        Names and sizes of what has been written; it grows.
    """
    written: list[tuple[str, int]] = []
    plain = builtins.open

    def counted(file: Any, mode: str = 'r', *args: Any, **kwargs: Any) -> Any:
        path = os.path.abspath(file) if isinstance(file, str | os.PathLike) else ''
        name = os.path.basename(path)
        ours = path.startswith(f'{folder.absolute()}/') and ('.pth' in name or 'last_ch' in name)
        if not ours or 'w' not in mode:
            return plain(file, mode, *args, **kwargs)
        buffer = io.BufferedWriter(CountedFile(path, written, limit))
        return buffer if 'b' in mode else io.TextIOWrapper(buffer)

    builtins.open = io.open = counted  # pathlib calls the second one
    return written


def in_child(action: Callable[[], None]) -> int:
    """Run in a process of its own; its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException as error:
            print(f'{type(error).__name__}: {error}', file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def small_config(config: Path, data: Path) -> Config:
    """A config on a few images, for ``EPOCHS`` epochs that each save."""
    cfg = load_config(config)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data)
        loader.batch_size = 4
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_cfg.max_epochs = EPOCHS
    for schedule in cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else []:
        schedule.pop('end', None)
    if 'total_steps' in cfg.param_scheduler:
        cfg.param_scheduler.total_steps = EPOCHS
    cfg.default_hooks.checkpoint.update(save_best='mAP')
    cfg.randomness = dict(seed=0)
    return cfg


def train(cfg: Config, work_dir: Path, resume: bool = False) -> None:
    """Train in this process, silently."""
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 1)
    torch.set_num_threads(1)
    cfg.work_dir = str(work_dir)
    build_runner(cfg, options=RunOptions(resume='auto' if resume else None)).train()


def resume_and_note(cfg: Config, work_dir: Path) -> None:
    """Resume, and write the epoch it went on from into ``resumed.json``."""
    found = [0]
    plain = Runner.resume

    def noted(runner: Runner, *args: Any, **kwargs: Any) -> None:
        plain(runner, *args, **kwargs)
        found[0] = runner.epoch

    Runner.resume = noted
    train(cfg, work_dir, resume=True)
    (work_dir / 'resumed.json').write_text(json.dumps(found[0]))


def whole_epochs(writes: list[tuple[str, int]], limit: int) -> int:
    """The last epoch whose checkpoint and pointer were written before a limit."""
    done, epoch, reached = 0, 0, 0
    for name, size in writes:
        reached += size
        if reached >= limit:
            break
        if 'best' not in name and '.pth' in name and 'student' not in name:
            epoch = int(name.split('epoch_')[1].split('.')[0])
        elif 'last_ch' in name:
            done = epoch
    return done


def trial(cfg: Config, folder: Path, writes: list[tuple[str, int]], limit: int) -> str:
    """Kill one training and resume it; what went wrong, nothing if nothing did."""
    work_dir = folder / 'work'
    shutil.rmtree(work_dir, ignore_errors=True)

    def killed() -> None:
        count_writes(work_dir, limit)
        train(cfg, work_dir)

    status = in_child(killed)
    if status != -signal.SIGKILL:
        return f'the training was not killed, its status is {status}'
    if in_child(lambda: resume_and_note(cfg, work_dir)):
        return 'it could not be resumed'
    epoch, expected = (
        json.loads((work_dir / 'resumed.json').read_text()),
        whole_epochs(writes, limit),
    )
    if epoch < expected:
        return f'it went on from epoch {epoch}, epoch {expected} was whole'
    if not (work_dir / f'epoch_{EPOCHS}.pth').is_file():
        return f'it left no epoch_{EPOCHS}.pth'
    hidden = [path.name for path in work_dir.glob('.*')]
    return f'it left {hidden[0]}' if hidden else ''


def all_writes(cfg: Config, folder: Path) -> list[tuple[str, int]]:
    """Names and sizes of what a training writes that nobody kills."""

    def counted() -> None:
        written = count_writes(folder / 'work')
        train(cfg, folder / 'work')
        (folder / 'writes.json').write_text(json.dumps(written))

    if in_child(counted):
        raise RuntimeError('the training fails without being killed')
    return [tuple(write) for write in json.loads((folder / 'writes.json').read_text())]


def torture(config: Path, trials: int, seed: int, folder: Path) -> int:
    """Run the trials in a folder and print each; the number that failed."""
    make = [
        sys.executable,
        str(Path(__file__).with_name('make_toy_scenes.py')),
        str(folder / 'data'),
    ]
    subprocess.run([*make, '--train', '8', '--val', '4', '--workers', '1'], check=True)
    cfg = small_config(config, folder / 'data')
    writes = all_writes(cfg, folder)
    # The first checkpoint and its pointer are written: before that there is nothing to lose.
    first = writes[0][1] + writes[1][1]
    total = sum(size for _, size in writes)
    generator = random.Random(seed)
    failed = 0
    for number in range(trials):
        limit = generator.randint(first + 1, total)
        wrong = trial(cfg, folder, writes, limit)
        failed += bool(wrong)
        print(
            f'{number + 1}: killed at byte {limit:,} of {total:,}: {wrong or "resumed"}', flush=True
        )
    print(f'{trials - failed} of {trials} resumed')
    return failed


def main() -> int:
    """Kill and resume; the exit status is 1 if a training was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='one on ToyScenes')
    parser.add_argument('--trials', type=int, default=20, help='(%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the bytes (%(default)s)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return int(torture(args.config, args.trials, args.seed, Path(folder)) > 0)


if __name__ == '__main__':
    sys.exit(main())
