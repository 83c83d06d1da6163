"""What the tools do to a config before it runs."""

from __future__ import annotations

import atexit
import time
from pathlib import Path

import pytest
import torch
from helpers.places import TOY_CONFIG

from mmmlc.engine import build_runner, leave_processes, load_config


def test_mmdet_without_its_operators_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr('mmmlc.engine.launch.require_mmdet', _missing)
    cfg = load_config(TOY_CONFIG, dict(model=dict(neck=dict(type='mmdet.FPN'))), tmp_path)
    with pytest.raises(ImportError, match='no compiled ops'):
        build_runner(cfg)


def _missing() -> None:
    raise ImportError('mmcv has no compiled ops')


def in_process(rank: int, folder: str) -> None:
    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    written = Path(folder) / 'results.txt'
    if rank == 0:
        time.sleep(1)
        written.write_text('done')
    atexit.register(lambda: Path(folder, f'left_{rank}').write_text(str(written.exists())))
    leave_processes()
    raise AssertionError('it goes on')


def test_nobody_leaves_before_the_results_are_written(tmp_path):
    torch.multiprocessing.spawn(in_process, (str(tmp_path),), nprocs=2)
    assert [(tmp_path / f'left_{rank}').read_text() for rank in (0, 1)] == ['True', 'True']
    leave_processes()  # alone: nothing to do
