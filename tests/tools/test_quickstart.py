"""The first part of the quickstart: a table and pictures of photographs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.places import tool
from helpers.ready_models import write_colours, write_ready
from PIL import Image

from mmmlc.ready import get_model


@pytest.fixture
def quickstart(tmp_path, monkeypatch):
    """The tool with a small model, which trains nothing."""
    module = tool('quickstart')
    monkeypatch.setattr(module, 'READY', str(write_ready(tmp_path / 'small')))
    monkeypatch.setattr(module, 'OUT', tmp_path / 'out')
    monkeypatch.setattr(module, 'run', stop)
    return module


class Stopped(Exception):
    pass


def stop(*command) -> None:
    raise Stopped(*command)


def test_table_and_pictures(quickstart, tmp_path, capsys):
    photos = write_colours(tmp_path / 'photos')
    quickstart.name_photographs(photos, quickstart.READY, tmp_path / 'pictures')
    shown = capsys.readouterr().out
    for path, found in zip(photos, get_model(quickstart.READY).predict(photos), strict=True):
        assert Path(path).name in shown
        for label in found.labels:
            assert f'{label} {found.scores[label]:.2f}' in shown
    pictures = sorted((tmp_path / 'pictures').iterdir())
    assert [path.name for path in pictures] == [f'{i:02d}_{i}.jpg' for i in range(len(photos))]
    assert all(np.array(Image.open(path)).std() > 10 for path in pictures)


def test_photographs_come_before_the_training(quickstart, tmp_path, capsys, monkeypatch):
    """By default those of matplotlib and scikit-learn."""
    monkeypatch.setattr(sys, 'argv', ['quickstart.py'])
    with pytest.raises(Stopped, match='tools/make_toy_scenes.py'):
        quickstart.main()
    assert 'china.jpg' in (shown := capsys.readouterr().out) and 'flower.jpg' in shown
    names = {path.name for path in (tmp_path / 'out/photographs').iterdir()}
    assert names == {'00_grace_hopper.jpg', '01_china.jpg', '02_flower.jpg'}
