"""What the tools do to a config before it runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from helpers.places import TOY_CONFIG
from mmengine.config import Config, ConfigDict

from mmmlc.engine.launch import (
    build_runner,
    leave_processes,
    load_config,
    without_pretrained,
    write_results_to,
)


def test_metrics_do_not_share_a_folder():
    metrics = ('mmmlc.ValidationLoss', 'mmmlc.MultiLabelMetric', 'mmmlc.WeakDetectionMetric')
    cfg = Config(dict(test_evaluator=[dict(type=name) for name in metrics]))
    write_results_to(cfg, 'out')
    found = [metric.get('out_dir') for metric in cfg.test_evaluator]
    assert found == [None, 'out', 'out/WeakDetectionMetric']


def test_results_of_one_metric():
    cfg = Config(dict(test_evaluator=dict(type='mmmlc.VOCServerFiles')))
    write_results_to(cfg, 'out')
    assert cfg.test_evaluator.out_dir == 'out'


def test_no_metric_that_writes():
    cfg = Config(dict(test_evaluator=dict(type='mmengine.DumpResults', out_file_path='a.pkl')))
    with pytest.raises(ValueError, match='--out: test_evaluator is mmengine.DumpResults, expected'):
        write_results_to(cfg, 'out')


def test_pretrained_weights_are_taken_out_at_any_depth():
    pretrained = dict(type='Pretrained', checkpoint='a.pth')
    model = ConfigDict(
        backbone=dict(init_cfg=pretrained),
        neck=[dict(init_cfg=pretrained), dict(init_cfg=dict(type='mmengine.Normal', std=0.01))],
        head=dict(loss=dict(weight=1.0)),
    )
    without_pretrained(model)
    assert model.backbone.init_cfg is None and model.neck[0].init_cfg is None
    assert model.neck[1].init_cfg.type == 'mmengine.Normal'


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
    leave_processes()
    assert written.exists()
    assert not torch.distributed.is_initialized()


def test_nobody_leaves_before_the_results_are_written(tmp_path):
    torch.multiprocessing.spawn(in_process, (str(tmp_path),), nprocs=2)
    leave_processes()  # alone: nothing to do
