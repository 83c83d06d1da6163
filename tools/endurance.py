"""Train, test and fail in one process, again and again: do memory and open files stay?

python tools/endurance.py --minutes 60
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]

from helpers.places import TOY_CONFIG  # noqa: E402 - found through the path above
from helpers.small_data import write_for  # noqa: E402 - as well

from mmmlc.engine import RunOptions, build_runner, load_config, load_weights  # noqa: E402

WARM_UP = 3  # cycles until what is imported and cached on first use is there


def prepared(folder: Path, data: Path, **options):
    """The toy config on tiny data, one epoch."""
    cfg = load_config(TOY_CONFIG, options, folder)
    write_for(cfg, data)
    cfg.train_cfg.max_epochs = 1
    cfg.param_scheduler = None
    return cfg


def train_and_test(folder: Path, data: Path) -> None:
    """What is right."""
    build_runner(prepared(folder / 'train', data)).train()
    runner = build_runner(prepared(folder / 'test', data), options=RunOptions(test=True))
    load_weights(runner, folder / 'train/epoch_1.pth')
    runner.test()


def missing_checkpoint(folder: Path, data: Path) -> None:
    """A fault: the weights of a test are not there."""
    runner = build_runner(prepared(folder / 'test', data), options=RunOptions(test=True))
    load_weights(runner, folder / 'gone.pth')


def cut_checkpoint(folder: Path, data: Path) -> None:
    """A fault: they are cut short."""
    path = folder / 'train/epoch_1.pth'
    path.write_bytes(path.read_bytes()[:-1000])
    runner = build_runner(prepared(folder / 'test', data), options=RunOptions(test=True))
    load_weights(runner, path)


def broken_image(folder: Path, data: Path) -> None:
    """A fault: an image of a test is no image."""
    cfg = prepared(folder / 'test', folder / 'data')
    for path in (folder / 'data').rglob('*.png'):
        path.write_bytes(b'no image')
    build_runner(cfg, options=RunOptions(test=True)).test()


def unread_key(folder: Path, data: Path) -> None:
    """A fault: a key with a typing error."""
    build_runner(prepared(folder / 'train', data, train_dataloder=dict(batch_size=2))).train()


def not_a_number(folder: Path, data: Path) -> None:
    """A fault: the training diverges."""
    build_runner(prepared(folder / 'nan', data, **{'optim_wrapper.optimizer.lr': 1e30})).train()


FAULTS = (missing_checkpoint, cut_checkpoint, broken_image, unread_key, not_a_number)


def fails(fault: Callable[[Path, Path], None], folder: Path, data: Path) -> str:
    """The first line of a fault's error."""
    try:
        fault(folder, data)
    except (ValueError, RuntimeError, OSError) as error:
        return f'{type(error).__name__}: {error}'.split('\n')[0][:100]
    raise SystemExit(f'{fault.__name__} gave no error')


def main() -> int:
    """Loop, and compare the first cycles with the last ones."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--minutes', type=float, default=60)
    args = parser.parse_args()
    torch.set_num_threads(1)
    process, end, rows = psutil.Process(), time.monotonic() + 60 * args.minutes, []
    with tempfile.TemporaryDirectory() as name:
        for cycle, fault in enumerate(itertools.cycle(FAULTS)):
            folder = Path(name) / f'cycle_{cycle}'
            with contextlib.redirect_stdout(io.StringIO()):
                train_and_test(folder, Path(name) / 'data')
                error = fails(fault, folder, Path(name) / 'data')
            shutil.rmtree(folder)
            gc.collect()
            rows.append((process.num_fds(), process.memory_info().rss / 2**20))
            print(f'{cycle}: {rows[-1][0]} open files, {rows[-1][1]:.0f} MB; {error}', flush=True)
            if time.monotonic() > end and cycle > 2 * WARM_UP:
                break
    rows = rows[WARM_UP:]
    files, megabytes = ((b - a) / (len(rows) - 1) for a, b in zip(rows[0], rows[-1], strict=True))
    print(
        f'{len(rows)} cycles after the first {WARM_UP}: a cycle adds {files:.3f} open files and '
        f'{megabytes:.3f} MB'
    )
    return int(files > 0 or megabytes > 0.1)


if __name__ == '__main__':
    sys.exit(main())
