"""One of two training processes is killed: the other stops, and ``--resume`` goes on."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers.places import ROOT
from helpers.tool_lab import call, data_options, free_port, make_toys

pytestmark = pytest.mark.slow
BASE = 'configs/mcar/mcar_r18_toy.py'
ENDLESS = 10_000


def command(folder: Path, epochs: int, *words: str) -> list:
    options = [
        *data_options(folder / 'data'),
        'train_dataloader.batch_size=8', f'train_cfg.max_epochs={epochs}', 'param_scheduler=None',
        'default_hooks.checkpoint.max_keep_ckpts=3',
    ]  # fmt: skip
    return [
        'bash', 'tools/dist_train.sh', BASE, 2, '--work-dir', folder / 'work', '--no-validate',
        *words, '--cfg-options', *options,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return dict(PATH=path, PYTHONPATH=str(ROOT), PORT=str(free_port()), CUDA_VISIBLE_DEVICES='')


def wait_for(condition, process: subprocess.Popen):
    """What the condition returns once it is true; an error if the process ends before."""
    while not (found := condition()):
        assert process.poll() is None, 'the training has ended'
        time.sleep(0.1)
    return found


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    """The training processes, by their rank; without their helpers."""
    found = psutil.Process(process.pid).children()
    ranks = {int(p.environ()['RANK']): p for p in found if 'RANK' in p.environ()}
    return [ranks[rank] for rank in sorted(ranks)]


def test_the_other_stops_and_resume_goes_on(tmp_path):
    make_toys(tmp_path / 'data', 16, 5)
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    log = tmp_path / 'log.txt'
    with open(log, 'w') as output:
        process = subprocess.Popen(
            [str(word) for word in command(tmp_path, ENDLESS)],
            cwd=ROOT, env=os.environ | environment(), stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for(lambda: (tmp_path / 'work/last_checkpoint').exists(), process)
        both = workers(process)
        time.sleep(chance.uniform(0, 1))
        rank = chance.randrange(2)
        both[rank].send_signal(signal.SIGKILL)
        started = time.monotonic()
        process.wait(timeout=120)  # one that goes on waits for half an hour
        print(f'seed {seed}: rank {rank} killed, all ended in {time.monotonic() - started:.1f} s')
        psutil.wait_procs(both, timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0 and not any(p.is_running() for p in both)
    text = log.read_text()
    assert f'Signal 9 (SIGKILL) received by PID {both[rank].pid}' in text, f'seed {seed}'
    assert re.search(rf'\n +rank +: {rank} ', text[text.index('Root Cause') :])
    saved = [int(p.stem.removeprefix('epoch_')) for p in (tmp_path / 'work').glob('epoch_*.pth')]
    end = max(saved) + 1
    result = call(*command(tmp_path, end, '--resume'), **environment())
    trained = re.findall(r'Epoch\(train\) +\[(\d+)\]', result.stdout + result.stderr)
    assert 1 < int(trained[0]) <= end, f'seed {seed}'
    assert (tmp_path / f'work/epoch_{end}.pth').exists()
