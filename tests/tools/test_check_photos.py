"""The tool that compares photographs, on made-up images with the traps of real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.places import tool
from PIL import Image

# Wide, grey, with a palette, without any object, and a single pixel high.
MODES = {'a': ('RGB', (60, 40)), 'b': ('L', (31, 77)), 'c': ('P', (50, 50))}
MODES |= {'d': ('RGB', (64, 48)), 'e': ('RGB', (90, 1))}
BOXES = {  # x, y, width, height; one passes the edge by rounding
    'a': [(1, 5.25, 20.5, 30), (10, 0, 50.01, 40)],
    'b': [(0, 0, 31, 77)],
    'c': [(3, 3, 4, 4), (30, 20, 10, 30), (3, 3, 4, 4)],
    'd': [],
    'e': [(5, 0, 40, 1)],
}


def write_images(folder: Path) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, (mode, (width, height)) in MODES.items():
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f'{name}.png')


@pytest.fixture
def coco(tmp_path) -> Path:
    """Three categories whose ids are neither sorted nor without gaps; the last box is a crowd."""
    write_images(tmp_path / 'coco/images/train')
    images, annotations = [], []
    for i, (name, (_, (width, height))) in enumerate(MODES.items()):
        images.append(dict(id=90 - i, file_name=f'{name}.png', width=width, height=height))
        for j, box in enumerate(BOXES[name]):
            record = dict(image_id=90 - i, category_id=(44, 3, 17)[j], bbox=box, iscrowd=j // 2)
            area = round(box[2] * box[3] * 0.7, 2)
            annotations.append(record | dict(id=len(annotations) + 1, area=area))
    categories = [dict(id=i, name=name) for i, name in ((44, 'owl'), (3, 'cat'), (17, 'dog'))]
    content = dict(images=images, annotations=annotations, categories=categories)
    file = tmp_path / 'coco/annotations/instances_train.json'
    file.parent.mkdir()
    file.write_text(json.dumps(content))
    return tmp_path / 'coco'


@pytest.fixture
def voc(tmp_path) -> Path:
    """Objects that are difficult, difficult and easy, and easy."""
    root = tmp_path / 'voc'
    write_images(root / 'JPEGImages')
    for folder in ('Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    for name, (_, (width, height)) in MODES.items():
        Image.open(root / f'JPEGImages/{name}.png').convert('RGB').save(
            root / f'JPEGImages/{name}.jpg'
        )
        objects = ''
        for j, (x, y, w, h) in enumerate(BOXES[name]):
            ends = zip(('xmin', 'ymin', 'xmax', 'ymax'), (x + 1, y + 1, x + w, y + h), strict=True)
            box = ''.join(f'<{end}>{int(value)}</{end}>' for end, value in ends)
            objects += (
                f'<object><name>{("cat", "dog", "cat")[j]}</name><difficult>{int(j == 0)}'
                f'</difficult><bndbox>{box}</bndbox></object>'
            )
        size = f'<width>{width}</width><height>{height}</height><depth>3</depth>'
        xml = f'<annotation><size>{size}</size>{objects}</annotation>'
        (root / f'Annotations/{name}.xml').write_text(xml)
    (root / 'ImageSets/Main/trainval.txt').write_text('a\nb\nd\n')
    (root / 'ImageSets/Main/test.txt').write_text('c\ne\n')
    (root / 'ImageSets/Main/cat_test.txt').write_text('c 1\ne -1\n')
    return root


def run(*folders: Path) -> int:
    return tool('check_photos').main([str(folder) for folder in folders])


def test_both_layouts_pass(coco, voc, capsys):
    assert run(coco, voc) == 0
    printed = capsys.readouterr().out
    for text in (
        'instances_train.json: 5 images, labels and boxes are those of pycocotools',
        'instances_train.json: 5 images, 4 have labels',
        'instances_train.json: 5 images pass the pipeline',
        'voc, test: 2 images, labels and boxes are those of the XML',
        'voc, trainval: 3 images, labels are those of mmpretrain',
        'voc, trainval: 3 images pass the pipeline',
    ):
        assert f'ok     {coco.parent}' in printed and text in printed
    assert printed.endswith('9 checks, 0 failed\n')


def test_broken_image(coco, capsys):
    path = coco / 'images/train/a.png'
    path.write_bytes(path.read_bytes()[:200])
    assert run(coco) == 1
    printed = capsys.readouterr().out
    assert '5 images pass the pipeline\n         ' in printed and 'a.png' in printed
    assert printed.endswith('3 checks, 1 failed\n')


def test_wrong_size_in_the_annotations(coco, capsys):
    """The network would see other fractions than those of the boxes' pixels."""
    file = coco / 'annotations/instances_train.json'
    file.write_text(file.read_text().replace('"width": 90', '"width": 45'))
    assert run(coco) == 1
    assert 'FAILED' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(gt_label=[0, 1, 2]), 'gt_label is [0, 1, 2], expected [0, 2]'),
        (dict(box_labels=np.array([2, 1])), 'box_labels[1] is 1, expected 0'),
        (dict(box_crowd=np.array([True, False])), 'box_crowd[0] is True, expected False'),
        (dict(box_areas=np.array([430.5, 0])), 'box_areas[1] is 0.0, expected 1400'),
        (dict(boxes=np.ones((2, 4), np.float32)), 'boxes[0, 0] is 60.0, expected 1.0'),
    ],
)
def test_other_readings_of_coco_are_found(coco, monkeypatch, capsys, change, message):
    from mmmlc.datasets import CocoMultiLabel

    read = CocoMultiLabel.get_data_info
    monkeypatch.setattr(
        CocoMultiLabel,
        'get_data_info',
        lambda self, i: read(self, i) | (change if 'a.png' in read(self, i)['img_path'] else {}),
    )
    assert run(coco) == 1
    assert f'a.png: {message}' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(gt_label=[11]), 'a.jpg: gt_label is [11], expected [7, 11]'),
        (dict(gt_label_difficult=[]), 'a.jpg: gt_label_difficult is [], expected [7]'),
        (dict(box_labels=np.array([7, 7])), "a.jpg: boxes of ['cat', 'cat']"),
        (dict(boxes=np.zeros((2, 4), np.float32)), 'a.jpg: boxes[0, 0] is 1.0, expected 2.0'),
    ],
)
def test_other_readings_of_voc_are_found(voc, monkeypatch, capsys, change, message):
    from mmmlc.datasets import VOC

    read = VOC.get_data_info
    monkeypatch.setattr(
        VOC,
        'get_data_info',
        lambda self, i: read(self, i) | (change if 'a.jpg' in read(self, i)['img_path'] else {}),
    )
    assert run(voc) == 1
    assert message in capsys.readouterr().out


def test_neither_layout(tmp_path):
    with pytest.raises(FileNotFoundError, match='expected annotations/instances_'):
        run(tmp_path)
