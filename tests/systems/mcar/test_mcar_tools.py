"""MCAR's toy config through the tools: both streams in log and results, regions in the pictures."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from helpers.places import CONFIGS
from helpers.tool_lab import call, data_options, make_toys
from PIL import Image

pytestmark = pytest.mark.slow
CONFIG = CONFIGS / 'mcar/mcar_r18_toy.py'


def test_training_and_evaluation(tmp_path):
    options = data_options(make_toys(tmp_path / 'data', 32, 8))
    schedule = ['train_cfg.max_epochs=1', 'param_scheduler.total_steps=2']
    call(
        sys.executable, 'tools/train.py', CONFIG, '--work-dir', tmp_path / 'work', '--seed', 0,
        '--cfg-options', *options, *schedule,
    )  # fmt: skip
    log = next((tmp_path / 'work').glob('*/vis_data/scalars.json')).read_text()
    records = [json.loads(line) for line in log.splitlines()]
    assert any('loss_local' in r for r in records) and any('mAP' in r for r in records)
    call(
        sys.executable, 'tools/test.py', CONFIG, tmp_path / 'work/epoch_1.pth',
        '--work-dir', tmp_path / 'test', '--out', tmp_path / 'out', '--show-dir', tmp_path / 'show',
        '--show-max', 3, '--cfg-options', *options,
    )  # fmt: skip
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert 0 <= summary['mAP'] <= 100 and 'global_score_mAP' in summary
    pictures = sorted((tmp_path / 'show').glob('*.jpg'))
    assert len(pictures) == 3
    picture = np.asarray(Image.open(pictures[0]))
    assert picture.shape[1] == 384 and picture.std() > 10
