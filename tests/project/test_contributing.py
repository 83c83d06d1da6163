"""The walk-through of CONTRIBUTING.md gives a system that is found, trains and predicts boxes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

STEPS = {
    'mmmlc/systems/peaks/losses.py': 'class PeakLoss',
    'mmmlc/systems/peaks/head.py': 'class PeakHead',
    'mmmlc/systems/peaks/__init__.py': 'lazy_exports',
    'configs/peaks/peaks_r18_toy.py': '_base_ = [',
}
ALONE = """
import sys
import mmmlc.systems.peaks.losses
assert 'mmengine' not in sys.modules
"""
TRAIN = """
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from mmmlc.systems import system_names

assert 'peaks' in system_names()
torch.manual_seed(0)
model = MODELS.build(Config.fromfile('configs/peaks/peaks_r18_toy.py').model)
model.init_weights()
images = torch.rand(2, 3, 96, 96)
samples = [DataSample(metainfo=dict(img_shape=(96, 96), ori_shape=(96, 96))) for _ in images]
for sample, label in zip(samples, (1, 2)):
    sample.set_gt_label([label])
losses = model.loss(images, samples)
assert losses.keys() == {'loss_label', 'loss_peak'}
sum(losses.values()).backward()
assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.head.parameters())
for sample in model.eval().predict(images, samples):
    boxes = sample.pred_instances.bboxes
    assert boxes.shape == (len(sample.pred_score), 4)
    assert (boxes[:, 2:] - boxes[:, :2] == 16).all() and boxes.min() >= 0 and boxes.max() <= 96
"""


@pytest.fixture(scope='module')
def project(root, tmp_path_factory):
    """A copy of the package and the configs, with the files of the walk-through."""
    copy = tmp_path_factory.mktemp('project')
    for name in ('mmmlc', 'configs'):
        ignore = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(root / name, copy / name, ignore=ignore)
    text = (root / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    blocks = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    for (name, part), block in zip(STEPS.items(), blocks, strict=True):
        assert part in block, name
        assert not (copy / name).exists()
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(block, encoding='utf-8')
    return copy


@pytest.mark.parametrize('code', [ALONE, TRAIN], ids=['functions alone', 'training'])
def test_walk_through(project, code):
    path = 'import sys; sys.path.insert(0, "")\n'
    command = [sys.executable, '-c', path + code]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_code_of_the_walk_through_is_tidy(project, root):
    files = [str(project / name) for name in STEPS]
    for command in (['check'], ['format', '--check']):
        run = [sys.executable, '-m', 'ruff', *command, '--config', str(root / '.ruff.toml'), *files]
        result = subprocess.run(run, capture_output=True, text=True, cwd=project)
        assert result.returncode == 0, result.stdout
