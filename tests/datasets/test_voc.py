from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image, ImageDraw

from mmmlc.datasets import voc
from mmmlc.datasets.voc import VOC

KEYS = ('xmin', 'ymin', 'xmax', 'ymax')
# Per image: (name, difficult, box). Cat, car, dog and person are the labels 7, 6, 11 and 14.
OBJECTS = {
    '000001': [('cat', 1, (1, 1, 10, 10)), ('dog', 0, (11, 6, 30, 20)), ('cat', 1, (2, 2, 3, 3))],
    '000002': [('car', 1, (5, 5, 20, 15)), ('car', 0, (1, 1, 40, 20))],
    '000003': [('person', 1, (1, 1, 40, 20))],
}


def _object(name: str, difficult, box: tuple) -> str:
    ends = ''.join(f'<{k}>{v}</{k}>' for k, v in zip(KEYS, box, strict=False))
    flag = '' if difficult is None else f'<difficult>{difficult}</difficult>'
    return f'<object><name>{name}</name>{flag}<bndbox>{ends}</bndbox></object>'


def _xml(objects: list[tuple], size: str = '<width>40</width><height>20</height>') -> str:
    body = ''.join(_object(*o) for o in objects)
    return f'<annotation><size>{size}</size>{body}</annotation>'


@pytest.fixture
def root_folder(tmp_path) -> Path:
    """A data set in VOC layout; each image has its first box painted white."""
    for name in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (tmp_path / name).mkdir(parents=True)
    for img_id, objects in OBJECTS.items():
        image = Image.new('RGB', (40, 20))
        x1, y1, x2, y2 = objects[0][2]
        ImageDraw.Draw(image).rectangle([x1 - 1, y1 - 1, x2 - 1, y2 - 1], fill='white')
        image.save(tmp_path / f'JPEGImages/{img_id}.jpg', quality=95)
        (tmp_path / f'Annotations/{img_id}.xml').write_text(_xml(objects))
    (tmp_path / 'ImageSets/Main/trainval.txt').write_text('\n'.join(OBJECTS) + '\n\n')
    return tmp_path


def _infos(dataset: VOC) -> list[dict]:
    return [dataset.get_data_info(i) for i in range(len(dataset))]


# --- what is read


@pytest.mark.parametrize(
    ('role', 'expected'),
    [
        ('positive', [[7, 11], [6], [14]]),
        ('negative', [[11], [6], []]),
        ('ignore', [[11], [6], []]),
    ],
)
def test_role_of_difficult(root_folder, role, expected):
    infos = _infos(VOC(str(root_folder), difficult=role))
    assert [info['gt_label'] for info in infos] == expected
    # Image 2 has an easy car beside the difficult one.
    assert [info['gt_label_difficult'] for info in infos] == [[7], [], [14]]
    ignored = [info.get('gt_label_ignore') for info in infos]
    assert ignored == ([[7], [], [14]] if role == 'ignore' else [None] * 3)


def test_positive_is_the_default_and_counted(root_folder, monkeypatch):
    lines = []
    monkeypatch.setattr(voc, 'print_log', lambda message, **_: lines.append(message))
    assert VOC(str(root_folder)).get_cat_ids(2) == [14]
    assert "3 images, 20 classes, 2 difficult labels taken as 'positive'" in lines[0]


def test_boxes_by_hand(root_folder):
    """Pixels count from 1, both ends inside: (11, 6, 30, 20) starts after 10 of 40 pixels."""
    info = _infos(VOC(str(root_folder)))[0]
    expected = [[0, 0, 0.25, 0.5], [0.25, 0.25, 0.75, 1], [0.025, 0.05, 0.075, 0.15]]
    np.testing.assert_allclose(info['boxes'], expected, atol=1e-7)
    assert info['box_areas'].tolist() == [100, 300, 4]
    assert info['box_labels'].tolist() == [7, 11, 7]
    assert info['box_difficult'].tolist() == [True, False, True]
    assert info['img_id'] == '000001'
    types = [info[k].dtype for k in ('boxes', 'box_labels', 'box_areas', 'box_difficult')]
    assert types == [np.float32, np.int64, np.float32, bool]


@pytest.mark.parametrize('prob', [0.0, 1.0])
def test_first_box_matches_the_painted_pixels(root_folder, prob):
    pipeline = [
        {'type': 'mmmlc.LoadImage'},
        {'type': 'mmpretrain.Resize', 'scale': (128, 128), 'backend': 'pillow'},
        {'type': 'mmmlc.RandomFlip', 'prob': prob},
        {'type': 'mmmlc.PackInputs'},
    ]
    dataset = VOC(str(root_folder), pipeline=pipeline, difficult='ignore')
    for i in range(3):
        packed = dataset[i]
        rows, columns = np.nonzero(packed['inputs'].float().mean(0).numpy() > 127)
        painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        sample = packed['data_samples']
        np.testing.assert_allclose(sample.boxes[0].numpy() * 128, painted, atol=2)
        assert sample.gt_label_ignore.tolist() == sample.gt_label_difficult.tolist()
        assert sample.box_difficult.shape == sample.box_labels.shape


def test_missing_difficult_is_easy_and_ends_are_clipped(root_folder):
    xml = _xml([('cat', None, (0, 0.5, 45, 20))])  # some tools count from 0 or pass the border
    (root_folder / 'Annotations/000001.xml').write_text(xml)
    info = _infos(VOC(str(root_folder)))[0]
    assert info['gt_label'] == [7] and info['gt_label_difficult'] == []
    np.testing.assert_array_equal(info['boxes'], [[0, 0, 1, 1]])


def test_image_without_objects(root_folder):
    (root_folder / 'Annotations/000001.xml').write_text(_xml([]))
    info = _infos(VOC(str(root_folder)))[0]
    assert info['gt_label'] == [] and info['boxes'].shape == (0, 4)


def test_part_of_the_classes(root_folder, monkeypatch):
    lines = []
    monkeypatch.setattr(voc, 'print_log', lambda message, **_: lines.append(message))
    dataset = VOC(str(root_folder), classes=['dog', 'cat'])
    assert [info['gt_label'] for info in _infos(dataset)] == [[0, 1], [], []]
    assert _infos(dataset)[1]['boxes'].shape == (0, 4)
    assert '3 objects of other classes left out' in lines[0]


def test_own_classes_are_the_whole_vocabulary(root_folder):
    names = ['cat', 'dog', 'helmet', 'person']
    with pytest.raises(ValueError, match="000002.xml: object 0 has the unknown class 'car'"):
        VOC(str(root_folder), classes=names)
    dataset = VOC(str(root_folder), classes=[*names, 'car'])
    assert [info['gt_label'] for info in _infos(dataset)] == [[0, 1], [4], [3]]


def test_without_boxes_no_box_is_read(root_folder):
    xml = '<annotation><object><name>cat</name></object></annotation>'
    (root_folder / 'Annotations/000001.xml').write_text(xml)
    info = _infos(VOC(str(root_folder), with_boxes=False))[0]
    keys = {'img_path', 'img_id', 'gt_label', 'gt_label_difficult', 'entry', 'sample_idx'}
    assert set(info) == keys


@pytest.fixture
def voc12_test(root_folder) -> Path:
    """The layout of VOC 2012 test: images and a list, no XML."""
    (root_folder / 'ImageSets/Main/test.txt').write_text('000003\n000001\n')
    for path in (root_folder / 'Annotations').iterdir():
        path.unlink()
    return root_folder


@pytest.mark.parametrize('annotations', ['empty', 'none'])
def test_hidden_labels_are_left_out_on_request(voc12_test, annotations, monkeypatch):
    lines = []
    monkeypatch.setattr(voc, 'print_log', lambda message, **_: lines.append(message))
    if annotations == 'none':
        (voc12_test / 'Annotations').rmdir()
    pipeline = [{'type': 'mmmlc.LoadImage'}, {'type': 'mmmlc.PackInputs'}]
    options = {'test_mode': True, 'with_labels': False, 'pipeline': pipeline}
    dataset = VOC(str(voc12_test), 'test', **options)
    infos = _infos(dataset)
    assert [info['img_id'] for info in infos] == ['000003', '000001']
    assert set(infos[0]) == {'img_path', 'img_id', 'entry', 'sample_idx'}
    assert '2 images, 20 classes, labels not read (with_labels=False)' in lines[0]
    sample = dataset[1]['data_samples']
    assert sample.img_id == '000001' and 'gt_label' not in sample and 'boxes' not in sample


def test_hidden_labels_are_never_left_out_silently(voc12_test):
    with pytest.raises(FileNotFoundError, match=r'test.txt: line 1: .*000003.xml.*with_labels=F'):
        VOC(str(voc12_test), 'test', test_mode=True)
    with pytest.raises(ValueError, match="needs 'ann_path'.*with_labels=False"):
        VOC(str(voc12_test), 'test', test_mode=True, data_prefix='JPEGImages')
    for split, test_mode in (('test', False), ('trainval', True)):
        with pytest.raises(ValueError, match='with_labels=False is for testing only'):
            VOC(str(voc12_test), split, test_mode=test_mode, with_labels=False)


# --- errors


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (_xml([])[:-5], '000002.xml is not XML, or cut short'),
        ('', '000002.xml is not XML'),
        (
            _xml([('cat', 0, (1, 1, 2, 2)), ('Cat', 0, (1, 1, 2, 2))]),
            "object 1 .* class 'Cat'.*'cat'",
        ),
        (_xml([('', 0, (1, 1, 2, 2))]), "object 0 has the unknown class ''"),
        (_xml([('cat', 2, (1, 1, 2, 2))]), "object 0 has difficult='2', expected 0 or 1"),
        (_xml([('cat', 0, (1, 1, 2))]), "object 0 has .*'ymax': None.*with_boxes=False"),
        (_xml([('cat', 0, (1, 1, 2, 'x'))]), "object 0 has .*'ymax': 'x'"),
        (_xml([('cat', 0, (9, 1, 2, 2))]), 'object 0 has its box ends in the wrong order'),
        (_xml([('cat', 0, (1, 1, 'nan', 2))]), "object 0 has .*'xmax': 'nan'.*expected numbers"),
        (_xml([('cat', 0, (-1e300, 1, 2, 2))]), 'object 0 has the box .*, beyond any image'),
        (_xml([], size='<width>0</width><height>5</height>'), 'size is 0.0 x 5.0'),
        (_xml([], size='<width>9</width><height>1e308</height>'), r'size is 9.0 x 1e\+308'),
        (_xml([], size=''), "000002.xml: size has {'width': None"),
        ('<annotation><object><name>cat</name></object></annotation>', '000002.xml: size has'),
    ],
)
def test_wrong_xml(root_folder, content, message):
    (root_folder / 'Annotations/000002.xml').write_text(content)
    with pytest.raises(ValueError, match=message):
        VOC(str(root_folder))


def test_missing_files(root_folder):
    (root_folder / 'Annotations/000002.xml').unlink()
    with pytest.raises(FileNotFoundError, match=r'trainval.txt: line 2: no file .*000002.xml'):
        VOC(str(root_folder))
    with pytest.raises(FileNotFoundError, match='image_set_path: no file .*Main/test.txt'):
        VOC(str(root_folder), 'test', test_mode=True)
    with pytest.raises(FileNotFoundError, match='data_root: no folder .*none'):
        VOC(str(root_folder / 'none'))
    with pytest.raises(FileNotFoundError, match=r"data_prefix\['ann_path'\]: no folder .*xml"):
        VOC(str(root_folder), data_prefix={'img_path': 'JPEGImages', 'ann_path': 'xml'})


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('\n', 'trainval.txt: no sample left'),
        ('000001  1\n000002 -1\n', "trainval.txt: line 1 is '000001  1', expected one image id"),
        ('000001\n\n000001\n', "trainval.txt: line 3 repeats the image id '000001'"),
    ],
)
def test_wrong_list(root_folder, content, message):
    (root_folder / 'ImageSets/Main/trainval.txt').write_text(content)
    with pytest.raises(ValueError, match=message):
        VOC(str(root_folder))


def test_wrong_options(root_folder):
    with pytest.raises(ValueError, match="difficult='skip'"):
        VOC(str(root_folder), difficult='skip')
    with pytest.raises(ValueError, match="split='minival'"):
        VOC(str(root_folder), split='minival')
    with pytest.raises(ValueError, match='more than once'):
        VOC(str(root_folder), classes=['cat', 'cat'])


@pytest.mark.parametrize('scope', [None, 'mmpretrain'])
def test_built_from_a_config(root_folder, scope):
    (root_folder / 'own.txt').write_text('000002\n')
    config = {
        'type': 'mmmlc.VOC',
        'data_root': str(root_folder),
        'split': '',
        'image_set_path': 'own.txt',
        'difficult': 'negative',
        'pipeline': [{'type': 'mmmlc.LoadImage'}, {'type': 'mmmlc.PackInputs'}],
    }
    with DefaultScope.overwrite_default_scope(scope):
        dataset = DATASETS.build(config)
    assert type(dataset) is VOC
    assert dataset[0]['data_samples'].gt_label.tolist() == [6]
