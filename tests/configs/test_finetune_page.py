"""The commands of docs/own_labels.md, run as they stand on a small data set."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.places import ROOT
from PIL import Image

from mmmlc.engine.launch import build_runner, load_config

CONFIG = ROOT / 'configs/finetune/mcar_r50_own.py'
COLOURS = {'blue': (40, 60, 220), 'green': (40, 200, 60), 'red': (220, 50, 40)}
# The config of the page in small: same data, hooks and schedule, but a network from scratch.
SMALL = f"""
_base_ = {str(CONFIG)!r}
model = dict(
    topn=2,
    backbone=dict(
        _delete_=True, type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8
    ),
    head=dict(in_channels=64),
)
resize = dict(type='mmpretrain.Resize', scale=(64, 64), backend='pillow')
pipeline = [dict(type='mmmlc.LoadImage'), resize, dict(type='mmmlc.PackInputs')]
loader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=pipeline))
train_dataloader = val_dataloader = test_dataloader = loader
train_cfg = dict(max_epochs=2)
"""


# Runs `python TOOL ...` lines one after another, each in a fork of a process that has imported what
# they share: as from a shell, but importing takes most of the time of such small runs.
RUN = """
import glob, os, runpy, shlex, sys
import mmmlc.apis, mmmlc.datasets, mmmlc.models
for command in sys.argv[1:]:
    print('$', command, flush=True)
    if os.fork() == 0:
        python, *words = shlex.split(command)
        assert python == 'python', command
        sys.argv = [file for word in words for file in sorted(glob.glob(word)) or [word]]
        runpy.run_path(sys.argv[0], run_name='__main__')
        sys.exit()
    if status := os.waitstatus_to_exitcode(os.wait()[1]):
        sys.exit(f'status {status}: {command}')
"""


def page_commands() -> list[str]:
    page = (ROOT / 'docs/own_labels.md').read_text()
    return re.search(r'```bash\n(.*?)```', page, re.DOTALL).group(1).strip().splitlines()


def write_photos(folder: Path, images: int = 48) -> None:
    """Grey photos with squares of the colours that the labels name, some without."""
    rng = np.random.default_rng(0)
    (folder / 'images').mkdir(parents=True)
    with open(folder / 'labels.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['path', 'labels'])
        for i in range(images):
            pixels = np.full((48, 64, 3), 128 + rng.integers(-9, 10), np.uint8)
            labels = [name for bit, name in enumerate(COLOURS) if i % 8 >> bit & 1]
            for place, name in enumerate(labels):
                pixels[8:24, 4 + 20 * place : 20 + 20 * place] = COLOURS[name]
            pixels[-1, :, 0] = i  # no two photos are the same
            Image.fromarray(pixels).save(folder / f'images/{i:04d}.png')
            writer.writerow([f'{i:04d}.png', ';'.join(labels)])


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> Path:
    """A folder with our tools, the config in small, and a folder of photos."""
    place = tmp_path_factory.mktemp('page')
    (place / 'tools').symlink_to(ROOT / 'tools')
    config = place / CONFIG.relative_to(ROOT)
    config.parent.mkdir(parents=True)
    config.write_text(SMALL)
    write_photos(place / 'data/own')
    return place


def test_the_four_commands(place):
    commands = page_commands()
    assert len(commands) == 4
    result = subprocess.run(
        [sys.executable, '-c', RUN, *commands],
        cwd=place,
        env=os.environ | dict(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=200,
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-6000:]
    assert 'model.head.num_classes=3' in output
    own = place / 'work_dirs/own'
    counts = json.loads((own / 'check/summary.json').read_text())
    assert [split['split'] for split in counts] == ['train', 'val', 'test']
    assert sum(split['images'] for split in counts) == 48
    assert sum(split['without labels'] for split in counts) == 6
    assert [split['leak'] for split in counts] == [0, 0, 0]
    assert (own / 'check/contact_train.jpg').is_file()
    assert 0 <= json.loads((own / 'results/summary.json').read_text())['mAP'] <= 100
    with open(own / 'results/per_class.csv', newline='') as file:
        assert [row['name'] for row in csv.DictReader(file)] == sorted(COLOURS)
    assert len(list((own / 'pictures').glob('*.jpg'))) == counts[2]['images']


def test_number_of_classes_comes_from_the_file(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    cfg = load_config(place / CONFIG.relative_to(ROOT), work_dir=tmp_path)
    assert build_runner(cfg).model.head.num_classes == 3
    fixed = load_config(place / CONFIG.relative_to(ROOT), work_dir=tmp_path)
    fixed.model.head.num_classes = 5
    with pytest.raises(ValueError, match='num_classes is 5, train_dataloader.dataset has 3 class'):
        build_runner(fixed).train()


def test_number_of_classes_without_data(place, tmp_path):
    cfg = load_config(place / CONFIG.relative_to(ROOT), work_dir=tmp_path)
    cfg.train_dataloader = cfg.test_dataloader = None
    with pytest.raises(ValueError, match='num_classes is None and train_dataloader too'):
        build_runner(cfg)
