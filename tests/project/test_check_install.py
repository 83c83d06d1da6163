"""tools/check_install.py calls what it vouches for, and says what to do when it fails."""

from __future__ import annotations

import sys

import pytest
from helpers.places import ROOT

sys.path.insert(0, str(ROOT / 'tools'))
import check_install


def test_failed_check_tells_what_to_do(monkeypatch):
    def lost(*args, **more):
        raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.setattr('torchvision.ops.nms', lost)
    passed, text = check_install.run_check('torchvision')
    assert not passed
    assert 'torchvision::nms does not exist' in text
    assert 'install --no-deps --force-reinstall torchvision==' in text


def test_nms_that_keeps_the_wrong_boxes_is_found(monkeypatch):
    import torch

    monkeypatch.setattr('torchvision.ops.nms', lambda *args, **more: torch.arange(3))
    passed, text = check_install.run_check('torchvision')
    assert not passed
    assert 'kept the boxes [0, 1, 2] instead of [0, 2]' in text


@pytest.mark.parametrize('name', list(check_install.LIGHT))
def test_checks_pass_here(name):
    passed, text = check_install.run_check(name)
    assert passed, text


def test_mmdet_is_checked_where_it_is_installed(monkeypatch, capsys):
    """``pip install mmmlc`` leaves it out, and nothing is wrong then."""
    monkeypatch.setattr(check_install, 'run_check', lambda name: (True, ''))
    monkeypatch.setattr(sys, 'argv', ['check_install.py'])
    for version, found in [('3.5.1', True), (None, False)]:
        versions = {'onedl-mmdetection': version}
        monkeypatch.setattr(check_install.DEPENDENCIES, 'installed_version', versions.get)
        assert check_install.main() == 0
        assert ('ok   mmdet' in capsys.readouterr().out) == found


def test_operators_that_are_not_compiled_are_found(monkeypatch):
    monkeypatch.setattr('mmmlc.mmcv_ops.operators_are_compiled', lambda: False)
    passed, text = check_install.run_check('mmcv ops')
    assert not passed
    assert 'bash tools/install.sh --full' in text
