"""The models in ``models/``: their files agree, and they say something of photographs."""

from __future__ import annotations

import csv

import pytest
import torch
from helpers.places import ROOT, tool
from PIL import Image

from mmmlc.engine.launch import load_config
from mmmlc.ready import get_model

# None in a source distribution.
NAMES = sorted(path.parent.name for path in ROOT.glob('models/*/config.py'))


@pytest.mark.parametrize('name', NAMES)
def test_files_agree(name, monkeypatch):
    monkeypatch.delenv('MMMLC_MODELS', raising=False)
    folder, model = ROOT / 'models' / name, get_model(name)
    cfg = load_config(folder / 'config.py')
    assert tuple(cfg.test_dataloader.dataset.classes) == model.classes
    assert not cfg.model.backbone.get('pretrained')
    with open(folder / 'classes.csv', newline='') as file:
        rows = [*csv.DictReader(file)]
    assert [row['class'] for row in rows] == [*model.classes]
    for row, threshold in zip(rows, model.thresholds.tolist(), strict=True):
        assert row['threshold'] == f'{threshold:.3f}' and 0 < threshold < 1
        assert (int(row['positives']) < 20) == (row['AP'] == 'not measured')
    card = (folder / 'README.md').read_text()
    assert card.startswith(f'# {name}\n') and f'get_model({name!r})' in card
    assert (folder / 'about.md').read_text().strip() in card
    assert (folder / 'LICENSE').stat().st_size > 100
    with open(folder / 'photographs.csv', newline='') as file:
        assert len([*csv.DictReader(file)]) > 100
    assert (folder / 'model.safetensors').stat().st_size < 20e6


@pytest.mark.parametrize('name', NAMES)
def test_photographs(name):
    """Different scores, and regions inside of the image."""
    paths = tool('quickstart').sample_photographs()
    model = get_model(name)
    found = model.predict(paths)
    scores = torch.tensor([[*one.scores.values()] for one in found])
    assert (scores[0] - scores[1]).abs().max() > 0.1
    assert 'person' in found[0].labels  # a portrait
    for path, one in zip(paths, found, strict=True):
        width, height = Image.open(path).size
        assert len(one.regions) == getattr(model.model, 'topn', 0)
        for region in one.regions:
            x1, y1, x2, y2 = region.box
            assert -0.01 < x1 < x2 < width + 0.01 and -0.01 < y1 < y2 < height + 0.01


def test_the_quickstart_has_its_model():
    assert not NAMES or tool('quickstart').READY in NAMES
