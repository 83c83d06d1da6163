"""tools/check_install.py calls what it vouches for, and says what to do when it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tools'))
import check_install


def test_failed_check_tells_what_to_do(monkeypatch):
    def lost(*args):
        raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.setattr('torchvision.ops.nms', lost)
    passed, text = check_install.run_check('torchvision')
    assert not passed
    assert 'torchvision::nms does not exist' in text
    assert 'install --no-deps --force-reinstall torchvision==' in text


def test_nms_that_keeps_the_wrong_boxes_is_found(monkeypatch):
    import torch

    monkeypatch.setattr('torchvision.ops.nms', lambda *args: torch.arange(3))
    passed, text = check_install.run_check('torchvision')
    assert not passed
    assert 'kept the boxes [0, 1, 2] instead of [0, 2]' in text


@pytest.mark.parametrize('name', list(check_install.LIGHT))
def test_checks_pass_here(name):
    passed, text = check_install.run_check(name)
    assert passed, text


def test_facts_are_read_without_importing(root):
    command = [sys.executable, '-X', 'importtime', str(root / 'tools/check_install.py'), '--facts']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'fact_keep_torch=yes' in done.stdout
    assert '| torch\n' not in done.stderr
