"""The check of a config's data: problems planted in a small data set are all found."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers.places import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from PIL import Image
from rich.console import Console

from mmmlc.data_report.files import FileCheck, check_file, check_files
from mmmlc.data_report.output import print_report, write_report
from mmmlc.data_report.report import Split, check_images, count_labels, load_splits, make_report
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
    assert [p.detail for p in report.of_kind('absent')] == [
        "val has no image of 2 of 3 classes: 'bird', 'cat'",
        "test has no image of 2 of 3 classes: 'cat', 'dog'",
    ]
    assert not report.of_kind('empty')
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
    assert counts.matrix(np.arange(6)).tolist() == together.tolist()
    assert counts.positive.tolist() == together.diagonal().tolist()
    chosen = [4, 0, 3]
    assert counts.matrix(np.array(chosen)).tolist() == together[np.ix_(chosen, chosen)].tolist()
    assert (counts.pairs[:, 0] < counts.pairs[:, 1]).all() and (counts.together > 0).all()


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(st.sets(st.integers(0, 499), max_size=12), max_size=40),
    chunk=st.integers(1, 200),
)
def test_pairs_are_those_of_a_counter(labels, chunk):
    """Also across the chunks that bound the memory."""
    rows = [sorted(row) for row in labels]
    split = Split('', '', tuple(map(str, range(500))), [''] * len(rows), rows, [[]] * len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmmlc.data_report.report._CHUNK', chunk)
        counts = count_labels(split)
    expected = Counter(pair for row in rows for pair in combinations(row, 2))
    pairs = map(tuple, counts.pairs.tolist())
    assert dict(zip(pairs, counts.together.tolist(), strict=True)) == expected
    assert counts.pairs.tolist() == sorted(counts.pairs.tolist())
    assert counts.positive.sum() == sum(map(len, rows))


def vocabulary_report(num_classes: int, num_images: int):
    """Made-up labels of a Zipf distribution, without images."""
    rng = np.random.default_rng(0)
    names = tuple(f'class {i}' for i in range(num_classes))
    labels = [
        sorted({int(label) - 1 for label in rng.zipf(1.4, 6) if label <= num_classes})
        for _ in range(num_images)
    ]
    paths = [f'{i}.jpg' for i in range(num_images)]
    files = {p: FileCheck(p, 'good', '', p.encode(), (640, 480)) for p in paths}
    return make_report([Split('train', '', names, paths, labels, [[]] * num_images)], files)


def test_large_vocabularies_are_written_as_pairs(tmp_path):
    report = vocabulary_report(9605, 2000)
    split = report.splits[0]
    write_report(report, tmp_path, sheet=0)
    with open(tmp_path / 'cooccurrence_train.csv', newline='') as file:
        header, *rows = csv.reader(file)
    assert header == ['class', 'other class', 'images']
    expected = Counter(
        (split.classes[a], split.classes[b])
        for row in split.labels
        for a, b in combinations(row, 2)
    )
    assert {(a, b): int(n) for a, b, n in rows} == expected
    images = [int(n) for *_, n in rows]
    assert images == sorted(images, reverse=True)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3_000_000
    with Image.open(tmp_path / 'labels.png') as picture:
        assert picture.height < 6000  # of 150 classes


def test_matrix_up_to_300_classes(tmp_path):
    for num, first in ((300, ['class', *(f'class {i}' for i in range(300))]), (301, None)):
        write_report(vocabulary_report(num, 50), tmp_path, sheet=0)
        with open(tmp_path / 'cooccurrence_train.csv', newline='') as file:
            header = next(csv.reader(file))
        assert header == (first or ['class', 'other class', 'images'])


def test_plots_of_many_classes_say_what_they_leave_out(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(
        'matplotlib.axes.Axes.set_title', lambda self, text, **_: titles.append(text)
    )
    report = vocabulary_report(1000, 5000)
    write_report(report, tmp_path, sheet=0)
    occurring = int((report.counts['train'].positive > 0).sum())
    assert titles == [
        f'100 most frequent and 50 rarest of 1000 classes, {1000 - occurring} without images',
        f'train (number of images), {occurring - 60} rarer classes left out',
    ]


# --- what may surprise in good files


def noted(path: Path, image: Image.Image, **options) -> list[tuple[str, str]]:
    image.save(path, **options)
    check = check_file(str(path))
    assert check.kind == 'good', check
    return list(check.notes)


def test_notes_of_good_files(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    colour, png = Image.fromarray(noise[..., :3]), tmp_path / 'a.png'
    assert noted(png, colour) == noted(png, colour.convert('L')) == []
    assert noted(png, colour.quantize(16)) == []
    assert noted(tmp_path / 'a.jpg', colour) == []
    grey16 = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    alpha = 'alpha channel (mode RGBA), laid on white'
    palette = 'palette with transparency (mode P), laid on white'
    several = 'several frames, of which the first is taken'
    for image, name, options, expected in (
        (grey16, 'a.png', {}, '16 bits (mode I;16)'),
        (Image.fromarray(noise[..., 0] / np.float32(255)), 'a.tif', {}, 'float (mode F)'),
        (Image.fromarray(noise[..., 0].astype(np.int32)), 'a.tif', {}, '32-bit integers (mode I)'),
        (colour.convert('CMYK'), 'a.jpg', {}, 'mode CMYK'),
        (Image.fromarray(noise), 'a.png', {}, alpha),
        (colour.quantize(16), 'a.gif', {'transparency': 2}, palette),
        (colour, 'a.tif', {'save_all': True, 'append_images': [colour]}, several),
    ):
        assert noted(tmp_path / name, image, **options) == [('mode', expected)]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = ('orientation', 'EXIF orientation 6, turned')
    assert noted(tmp_path / 'a.jpg', colour, exif=exif) == [turned]
    assert noted(png, Image.new('RGB', (30, 20), (1, 2, 3))) == [
        ('constant', 'all pixels are [3, 2, 1]')
    ]
    almost = Image.new('RGB', (30, 20))
    almost.putpixel((29, 19), (0, 0, 1))
    assert noted(png, almost) == []
    for size, strange in (
        ((16, 16), 0),
        ((15, 40), 1),
        ((160, 16), 0),
        ((161, 16), 1),
        ((1, 1), 1),
    ):
        image = Image.fromarray(np.resize(noise[..., :3], (*size[::-1], 3)))
        notes = [note for note in noted(png, image) if note[0] == 'shape']
        assert notes == [('shape', f'{size[0]} x {size[1]} pixels')] * strange


def test_notes_are_reported_and_are_no_errors(folder, tmp_path):
    Image.new('RGBA', (30, 20)).save(folder / '3.png')
    report = report_of(Config.fromfile(folder / 'config.py'))
    assert report.unreadable == 3
    assert [(n.split, Path(n.path).name) for n in report.of_kind('mode')] == [('val', '3.png')]
    console = Console(width=200, record=True, file=io.StringIO())
    print_report(report, console)
    text = console.export_text()
    assert '1 images of unusual modes' in text and '1: alpha channel (mode RGBA)' in text
    assert '1 images of one colour' in text
    write_report(report, tmp_path / 'out', sheet=2)
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert [(s['constant'], s['mode'], s['orientation']) for s in summary] == [
        (0, 0, 0), (1, 1, 0), (0, 0, 0)
    ]  # fmt: skip


def test_files_are_read_as_the_pipeline_does(folder):
    """Limits and colour types of the config's loader."""
    cfg = Config.fromfile(folder / 'config.py')
    limited = dict(type='mmmlc.LoadImage', max_pixels=640, color_type='grayscale')
    val = cfg.val_dataloader.dataset
    val.pipeline = [limited]
    cfg.val_dataloader.dataset = dict(type='mmengine.RepeatDataset', times=2, dataset=val)
    splits = load_splits(cfg)
    assert [split.loader for split in splits] == [
        {}, {'max_pixels': 640, 'color_type': 'grayscale'}, {}
    ]  # fmt: skip
    found = {Path(check.path).name: check for check in check_images(splits, workers=1)}
    assert found['3.png'].kind == 'broken' and 'more than max_pixels=640' in found['3.png'].detail
    assert found['0.png'].kind == found['4.png'].kind == 'good'


def test_named_pipe_does_not_stop_the_checker(folder):
    (folder / '3.png').unlink()
    os.mkfifo(folder / '3.png')
    report = report_of(Config.fromfile(folder / 'config.py'), workers=2)
    assert ('val', '3.png', 'is a named pipe, expected a regular file') in found(report, 'broken')


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
    assert kinds == [
        'broken',
        'missing',
        'broken',
        'duplicate',
        'leak',
        'unlabelled',
        *['absent'] * 2,
    ]
    summary = json.loads((out / 'summary.json').read_text())
    train = summary[0]
    assert (train['split'], train['classes'], train['empty'], train['absent']) == ('train', 3, 0, 0)
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


def test_what_is_wrong_with_splits(tmp_path):
    for i in range(4):
        paint(tmp_path / f'{i}.png', i)
    (tmp_path / 'labels.csv').write_text(
        'path,labels,split\n0.png,cat,train\n1.png,cat;=1+1,val\n2.png,,test\n'
    )
    (tmp_path / 'config.py').write_text(config_text(tmp_path))
    report = report_of(Config.fromfile(tmp_path / 'config.py'))
    assert [p.detail for p in report.of_kind('empty')] == ['test: none of its 1 images has a class']
    assert [p.detail for p in report.of_kind('absent')] == [
        "train has no image of the class '=1+1', which val has"
    ]
    console = Console(width=300, record=True, file=io.StringIO())
    print_report(report, console)
    text = console.export_text()
    assert "\n  train has no image of the class '=1+1', which val has\n" in text
    write_report(report, tmp_path / 'out', sheet=4)
    # No formula for a spreadsheet.
    assert "\n'=1+1," in (tmp_path / 'out' / 'labels.csv').read_text()
