"""The check of a config's data: problems planted in a small data set are all found."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers.places import ROOT
from mmengine.config import Config
from PIL import Image
from rich.console import Console

from mmmlc.data_report.files import check_file, check_files
from mmmlc.data_report.output import print_report, write_report
from mmmlc.data_report.report import Split, count_labels, load_splits, make_report
from mmmlc.visualization.contact_sheet import choose_images, draw_contact_sheet

ROWS = """path,labels,unknown,split
0.png,cat;dog,,train
1.png,cat,bird,train
2.png,,,train
same as 0.png,cat;dog,,train
broken.png,dog,,train
missing.png,bird,,train
empty.png,cat,,train
3.png,dog,,val
also 1.png,dog,,val
4.png,bird,,test
"""


def paint(path: Path, seed: int, size: tuple[int, int] = (30, 20)) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    for i in range(5):
        paint(tmp_path / f'{i}.png', i, (30 + i, 20))
    shutil.copy(tmp_path / '0.png', tmp_path / 'same as 0.png')
    shutil.copy(tmp_path / '1.png', tmp_path / 'also 1.png')
    content = (tmp_path / '3.png').read_bytes()
    (tmp_path / 'broken.png').write_bytes(content[: len(content) // 2])
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'labels.csv').write_text(ROWS)
    (tmp_path / 'config.py').write_text(config_text(tmp_path))
    return tmp_path


def config_text(folder: Path) -> str:
    """Pipelines that nothing should run or compare."""
    lines = [f'root = {str(folder)!r}']
    for name in ('train', 'val', 'test'):
        lines.append(
            f"{name}_dataloader = dict(dataset=dict(type='mmmlc.OwnLabels', data_root=root, "
            f"ann_file='labels.csv', split='{name}', pipeline=[dict(type='none.{name}')]))"
        )
    return '\n'.join(lines) + '\n'


def report_of(cfg: Config, workers: int = 1):
    splits = load_splits(cfg)
    paths = [path for split in splits for path in split.paths]
    return make_report(splits, {check.path: check for check in check_files(paths, workers)})


def found(report, kind: str) -> list[tuple[str, str, str]]:
    return [(p.split, Path(p.path).name, p.detail) for p in report.of_kind(kind)]


@pytest.mark.parametrize('workers', [1, 2])
def test_every_problem_is_found(folder, workers):
    report = report_of(Config.fromfile(folder / 'config.py'), workers)
    assert [len(split.paths) for split in report.splits] == [7, 2, 1]
    assert found(report, 'missing') == [('train', 'missing.png', 'no such file')]
    broken = found(report, 'broken')
    assert [entry[:2] for entry in broken] == [('train', 'broken.png'), ('train', 'empty.png')]
    assert broken[0][2].startswith('OSError: ') and broken[1][2] == 'empty file'
    assert report.unreadable == 3
    assert found(report, 'duplicate') == [
        ('train', 'same as 0.png', f'same content as {folder / "0.png"}')
    ]
    assert found(report, 'leak') == [
        ('val', 'also 1.png', f'same content as {folder / "1.png"} in train; '
         'other labels: dog / cat')
    ]  # fmt: skip
    assert found(report, 'unlabelled') == [('train', '2.png', '')]
    assert report.same_classes
    assert report.counts['train'].unknown.tolist() == [1, 0, 0]
    assert report.files[str(folder / '4.png')].size == (34, 20)


def test_counts_are_those_of_a_naive_loop():
    rng = np.random.default_rng(0)
    labels = [np.flatnonzero(rng.random(6) < 0.3).tolist() for _ in range(50)]
    split = Split('train', '', tuple('abcdef'), [''] * 50, labels, [[]] * 50)
    counts = count_labels(split)
    together = np.zeros((6, 6), int)
    for row in labels:
        for a in row:
            together[a, a] += 1
        for a, b in combinations(row, 2):
            together[a, b] += 1
            together[b, a] += 1
    assert counts.together.tolist() == together.tolist()
    assert counts.positive.tolist() == together.diagonal().tolist()


def test_one_image_in_three_splits_is_two_leaks_of_test(folder):
    cfg = Config.fromfile(folder / 'config.py')
    for name in ('also 1.png', '4.png'):
        shutil.copy(folder / '1.png', folder / name)
    details = [entry[2].split(';')[0] for entry in found(report_of(cfg), 'leak')]
    assert [detail.split(' in ')[-1] for detail in details] == ['train', 'train', 'val']


def test_one_data_set_of_two_splits_is_no_leak(folder):
    cfg = Config.fromfile(folder / 'config.py')
    cfg.test_dataloader = cfg.val_dataloader
    assert [split.name for split in load_splits(cfg)] == ['train', 'val, test']
    cfg = Config.fromfile(folder / 'config.py')
    cfg.val_dataloader.dataset.split = 'train'
    report = report_of(cfg)
    assert [split.name for split in report.splits] == ['train, val', 'test']
    assert not report.of_kind('leak')


def test_repeating_wrappers_repeat_nothing(folder):
    cfg = Config.fromfile(folder / 'config.py')
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='mmengine.RepeatDataset', times=3, dataset=inner)
    report = report_of(cfg)
    assert len(report.splits[0].paths) == 7 and len(report.of_kind('duplicate')) == 1
    val = cfg.val_dataloader.dataset
    both = dict(type='mmengine.ConcatDataset', datasets=[inner, val])
    cfg.train_dataloader.dataset, cfg.val_dataloader = both, None
    assert [len(split.paths) for split in load_splits(cfg)] == [9, 1]


def test_split_that_is_not_there(folder):
    cfg = Config.fromfile(folder / 'config.py')
    cfg.val_dataloader = None
    assert [split.name for split in load_splits(cfg)] == ['train', 'test']
    with pytest.raises(ValueError, match='the config has no val_dataloader'):
        load_splits(cfg, ('val',))
    with pytest.raises(ValueError, match='has no train_dataloader, val_dataloader or test'):
        load_splits(Config({}))


def test_folder_in_place_of_an_image(tmp_path):
    check = check_file(str(tmp_path))
    assert check.kind == 'broken' and 'directory' in check.detail


def test_files_and_pictures(folder, tmp_path):
    report = report_of(Config.fromfile(folder / 'config.py'))
    out = tmp_path / 'out'
    files = write_report(report, out, sheet=4)
    assert {path.name for path in out.iterdir()} == {path.name for path in files}
    with open(out / 'problems.csv', newline='') as file:
        problems = list(csv.DictReader(file))
    kinds = [problem['kind'] for problem in problems]
    assert kinds == ['broken', 'missing', 'broken', 'duplicate', 'leak', 'unlabelled']
    summary = json.loads((out / 'summary.json').read_text())
    train = summary[0]
    assert (train['images'], train['labels'], train['without labels']) == (7, 8, 1)
    assert (train['missing'], train['broken'], train['unknown']) == (1, 2, 1)
    assert (train['shortest side'], train['longest side']) == (20, 32)
    with open(out / 'labels.csv', newline='') as file:
        rows = {row['class']: row for row in csv.DictReader(file)}
    assert rows['cat'] == {'class': 'cat', 'train': '4', 'train unknown': '0', 'val': '0',
                           'test': '0'}  # fmt: skip
    assert rows['bird']['train unknown'] == '1' and rows['dog']['val'] == '2'
    with open(out / 'cooccurrence_train.csv', newline='') as file:
        together = list(csv.reader(file))
    assert together[0] == ['class', 'bird', 'cat', 'dog'] and together[2] == ['cat', '0', '4', '2']
    for name in ('labels.png', 'cooccurrence_train.png', 'contact_train.jpg', 'contact_test.jpg'):
        assert np.asarray(Image.open(out / name).convert('L')).std() > 5, name


def test_terminal_lists_all_or_counts_the_rest(folder):
    report = report_of(Config.fromfile(folder / 'config.py'))
    console = Console(width=300, record=True, file=io.StringIO())
    print_report(report, console, most=None)
    text = console.export_text()
    for name in ('missing.png: no such file', 'broken.png', 'empty.png: empty file', 'also 1.png'):
        assert name in text, name
    print_report(report, console, most=1)
    text = console.export_text()
    assert 'empty.png' not in text and 'and 1 more, in problems.csv' in text


def test_classes_that_differ_are_said(folder):
    cfg = Config.fromfile(folder / 'config.py')
    cfg.test_dataloader.dataset.classes = ['dog', 'cat', 'bird']
    report = report_of(cfg)
    assert not report.same_classes
    console = Console(width=100, record=True, file=io.StringIO())
    print_report(report, console)
    text = console.export_text()
    assert 'The splits differ in their classes' in text
    row = next(line for line in text.splitlines() if line.startswith('│ bird'))
    assert row.replace('│', ' ').split() == ['bird', '1', '1', '0', '1']


def test_tool_says_by_its_status_that_files_are_missing(folder):
    command = [sys.executable, str(ROOT / 'tools/check_data.py'), str(folder / 'config.py')]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 1, result.stderr[-2000:]
    assert 'missing.png: no such file' in result.stdout


# --- contact sheet


def test_contact_sheet_shows_every_class_it_can():
    labels = [[0]] * 50 + [[1]] + [[0, 2]] * 3 + [[]] * 5
    for seed in range(5):
        chosen = choose_images(labels, 4, 4, seed)
        assert len(chosen) == 4 and chosen == sorted(set(chosen))
        assert {label for i in chosen for label in labels[i]} == {0, 1, 2}
    assert choose_images(labels, 4, 100) == list(range(59))
    assert len({tuple(choose_images([[]] * 50, 1, 3, seed)) for seed in range(5)}) > 1


def test_contact_sheet_cuts_long_texts(tmp_path):
    path = tmp_path / 'a.png'
    paint(path, 0, (400, 100))
    texts = [['x' * 200], [f'some class {i}' for i in range(40)], ['a']]
    sheet = np.asarray(draw_contact_sheet([str(path)] * 3, texts, 'title').convert('L'))
    assert sheet.shape[1] == 3 * 250 + 10
    for left in (10, 260, 510):  # nothing is drawn into the gaps between the columns
        assert (sheet[45:, left - 10 : left - 1] == 255).all()
    assert (sheet[280:, 260:500] < 100).any() and not (sheet[250:, 510:750] < 100).any()
