from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image, ImageDraw

from mmmlc.datasets import coco
from mmmlc.datasets.coco import CocoMultiLabel

NAMES = {7: 'zebra', 3: 'cat', 5: 'apple'}


def _content(**changes) -> dict:
    """Three images: two annotations, a crowd only, nothing. Category order: cat, apple, zebra."""
    images = [
        {'id': 11, 'file_name': 'a.jpg', 'width': 40, 'height': 20},
        {'id': 'b', 'file_name': 'sub/b.jpg', 'width': 10, 'height': 10},
        {'id': 13, 'file_name': 'c.jpg', 'width': 10, 'height': 10},
    ]
    crowd = {'counts': [0, 100], 'size': [10, 10]}
    annotations = [
        _ann(1, 'b', 5, [0, 0, 5, 10], iscrowd=1, segmentation=crowd),
        _ann(2, 11, 7, [10, 5, 20, 10], area=123.5, iscrowd=0),
        _ann(3, 11, 3, [30, 0, 20, 10], iscrowd=0),
        _ann(4, 11, 7, [4, 4, 0, 8]),
    ]
    categories = [{'id': i, 'name': name} for i, name in NAMES.items()]
    return {'images': images, 'annotations': annotations, 'categories': categories, **changes}


def _ann(ann_id: int, image_id, category_id: int, bbox: list, **more) -> dict:
    return {
        'id': ann_id,
        'image_id': image_id,
        'category_id': category_id,
        'bbox': bbox,
        **more,
    }


def _dataset(folder: Path, content: dict | str | None = None, **kwargs) -> CocoMultiLabel:
    content = _content() if content is None else content
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / 'a.json').write_text(text)
    return CocoMultiLabel('a.json', data_root=str(folder), **kwargs)


@pytest.fixture
def log(monkeypatch) -> list[str]:
    lines = []
    monkeypatch.setattr(coco, 'print_log', lambda message, **_: lines.append(message))
    return lines


# --- what is read


def test_small_file_by_hand(tmp_path):
    dataset = _dataset(tmp_path)
    assert dataset.metainfo['classes'] == ('cat', 'apple', 'zebra')
    first, second = (dataset.get_data_info(i) for i in range(len(dataset)))
    assert first['img_path'] == str(tmp_path / 'a.jpg')
    assert second['img_path'] == str(tmp_path / 'sub/b.jpg')
    assert (first['img_id'], second['img_id']) == (11, 'b')
    assert (first['gt_label'], second['gt_label']) == ([0, 2], [1])
    # The second box reaches over the border, the third has no width: clipped, kept.
    expected = [[0.25, 0.25, 0.75, 0.75], [0.75, 0, 1, 0.5], [0.1, 0.2, 0.1, 0.6]]
    np.testing.assert_allclose(first['boxes'], expected, atol=1e-7)
    assert first['box_labels'].tolist() == [2, 0, 2]
    np.testing.assert_array_equal(first['box_areas'], np.float32([123.5, 200, 0]))
    assert first['box_crowd'].tolist() == [False] * 3
    assert second['box_crowd'].tolist() == [True]
    types = [first[k].dtype for k in ('boxes', 'box_labels', 'box_areas', 'box_crowd')]
    assert types == [np.float32, np.int64, np.float32, bool]


def test_images_without_annotation_are_dropped_and_counted(tmp_path, log, capsys):
    assert len(_dataset(tmp_path)) == 2
    assert '3 images, 2 with labels, 1 without any annotation dropped; 4 annotations' in log[0]
    assert 'of 3 classes, 1 boxes without extent' in log[0]
    assert capsys.readouterr().out == ''  # pycocotools is silent

    kept = _dataset(tmp_path, keep_unlabelled=True)
    assert '1 without any annotation kept' in log[1]
    empty = kept.get_data_info(2)
    assert (empty['img_id'], empty['gt_label']) == (13, [])
    assert (empty['boxes'].shape, empty['box_labels'].shape) == ((0, 4), (0,))


def test_crowd_alone_is_a_label(tmp_path):
    """The rule behind the 82,081 images of COCO 2014 train."""
    assert _dataset(tmp_path).get_data_info(1)['gt_label'] == [1]


def test_class_order_by_name(tmp_path):
    dataset = _dataset(tmp_path, class_order='name')
    assert dataset.metainfo['classes'] == ('apple', 'cat', 'zebra')
    assert [dataset.get_cat_ids(i) for i in range(2)] == [[1, 2], [0]]


@pytest.mark.parametrize('how', ['classes', 'metainfo', 'file'])
def test_part_of_the_classes_in_the_order_given(tmp_path, how, log):
    names = ['zebra', 'cat']
    (tmp_path / 'names.txt').write_text('\n'.join(names))
    options = {
        'classes': {'classes': names},
        'metainfo': {'metainfo': {'classes': names}},
        'file': {'classes': str(tmp_path / 'names.txt')},
    }
    dataset = _dataset(tmp_path, **options[how])
    assert dataset.metainfo['classes'] == ('zebra', 'cat')
    assert len(dataset) == 1  # the apple's image has no label left
    assert dataset.get_cat_ids(0) == [0, 1]
    assert dataset.get_data_info(0)['box_labels'].tolist() == [0, 1, 0]
    assert '3 annotations of 2 classes, 1 of other classes left out' in log[0]


def test_without_boxes_no_box_is_read(tmp_path):
    content = _content()
    for ann in content['annotations']:
        del ann['bbox']
    del content['images'][0]['width']
    info = _dataset(tmp_path, content, with_boxes=False).get_data_info(0)
    assert set(info) == {'img_path', 'img_id', 'gt_label', 'entry', 'sample_idx'}


# --- boxes after the transforms of our configs


@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
@pytest.mark.parametrize('prob', [0.0, 1.0])
@pytest.mark.parametrize('scale', [(96, 96), (200, 60)])
def test_boxes_match_the_painted_pixels(tmp_path, direction, prob, scale):
    """Each box is painted in one image; after the pipeline it must frame the bright pixels."""
    boxes = [[10, 20, 30, 15], [0, 0, 12, 80], [100, 50, 60, 70], [150, 5, 10, 110]]
    images, annotations = [], []
    for i, (x, y, w, h) in enumerate(boxes):
        image = Image.new('RGB', (160, 120))
        ImageDraw.Draw(image).rectangle([x, y, x + w - 1, y + h - 1], fill='white')
        image.save(tmp_path / f'{i}.png')
        images.append({'id': i, 'file_name': f'{i}.png', 'width': 160, 'height': 120})
        annotations.append(_ann(i, i, 3, boxes[i]))
    pipeline = [
        {'type': 'mmmlc.LoadImage'},
        {'type': 'mmpretrain.Resize', 'scale': scale, 'backend': 'pillow'},
        {'type': 'mmmlc.RandomFlip', 'prob': prob, 'direction': direction},
        {
            'type': 'mmpretrain.ColorJitter',
            **dict.fromkeys(('brightness', 'contrast', 'saturation'), 0.3),
        },
        {'type': 'mmmlc.PackInputs'},
    ]
    content = _content(images=images, annotations=annotations)
    dataset = _dataset(tmp_path, content, pipeline=pipeline)
    for i in range(len(boxes)):
        packed = dataset[i]
        bright = packed['inputs'].float().mean(0)
        rows, columns = np.nonzero((bright > bright.max() / 2 + bright.min() / 2).numpy())
        painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        found = packed['data_samples'].boxes[0].numpy() * np.array([*scale, *scale])
        np.testing.assert_allclose(found, painted, atol=1.01)
        assert packed['data_samples'].flip is (prob == 1.0)


# --- errors


def _changed(section: str, entry: int, **changes) -> dict:
    content = _content()
    for key, value in changes.items():
        if value is None:
            del content[section][entry][key]
        else:
            content[section][entry][key] = value
    return content


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (json.dumps(_content())[:-30], 'a.json is not JSON, or cut short: .* line 1 column'),
        ('', 'a.json is not JSON'),
        ('[]', "a.json is not in COCO format: no list 'images'"),
        ('{"images": []}', "a.json is not in COCO format: no list 'annotations'"),
        (_content(categories={}), "no list 'categories'"),
        (_content(images=['a.jpg']), r'images\[0\] has file_name=None, expected str'),
        (_changed('images', 1, file_name=None), r'a.json: images\[1\] has file_name=None'),
        (_changed('images', 1, id=None), r'a.json: images\[1\] has id=None'),
        (_changed('images', 2, id=11), 'a.json: images repeat id 11'),
        (_changed('images', 1, width=None), r'a.json: images\[1\] has width=None'),
        (_changed('images', 1, height='9'), r"a.json: images\[1\] has height='9'"),
        (_changed('images', 1, height=0), r'images\[1\] has width, height \[10.0, 0.0\]'),
        (_changed('annotations', 2, image_id=99), r'annotations\[2\] has image_id=99, .*not in im'),
        (
            _changed('annotations', 2, category_id=9),
            r'annotations\[2\] has category_id=9, .*in cat',
        ),
        (_changed('annotations', 2, category_id=None), r'annotations\[2\] has category_id=None'),
        (_changed('annotations', 2, id=None), r'annotations\[2\] has id=None'),
        (_changed('annotations', 2, bbox=None), 'annotation id 3 has bbox=None.*with_boxes=False'),
        (_changed('annotations', 2, bbox=[1, 2, 3]), r'annotation id 3 has bbox=\[1, 2, 3\]'),
        (_changed('annotations', 2, bbox=[1, 2, 3, 'x']), 'annotation id 3 has bbox='),
        (_changed('annotations', 2, bbox=[1, 2, -3, 4]), 'annotation id 3 has bbox='),
        (
            _changed('annotations', 2, bbox=[1, 2, 3, float('nan')]),
            'a.json holds NaN at line 1 col',
        ),
        (json.dumps(_content()).replace('123.5', '-Infinity'), 'a.json holds -Infinity at line 1'),
        (
            json.dumps(_content()).replace('[4, 4,', '[4, 1e999,'),
            r'annotation id 4 has bbox=\[4, inf',
        ),
        (
            json.dumps(_content()).replace('40,', '1e999,', 1),
            r'images\[0\] has width=inf, expected a finite number',
        ),
        (json.dumps(_content()).replace('123.5', '1e999'), 'annotation id 2 has area=inf'),
        (_changed('annotations', 1, iscrowd=7), 'annotation id 2 has iscrowd=7, expected 0 or 1'),
        (_changed('annotations', 1, iscrowd=[1]), r'annotation id 2 has iscrowd=\[1\], expected 0'),
        (
            _changed('annotations', 1, area='big'),
            "annotation id 2 has area='big', expected a finite numb",
        ),
        (_changed('categories', 1, id=7), 'a.json: categories repeat id 7'),
        (_changed('categories', 1, name='zebra'), r"categories hold \['zebra'\] more than once"),
        (_changed('categories', 1, name=None), r'categories\[1\] has name=None'),
        (_content(annotations=[]), 'a.json: no sample left, the split is empty'),
        (_content(images=[], annotations=[]), 'a.json: no sample left, the split is empty'),
    ],
)
def test_wrong_file(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        _dataset(tmp_path, content)


def test_wrong_options(tmp_path):
    with pytest.raises(ValueError, match="class_order='id'"):
        _dataset(tmp_path, class_order='id')
    with pytest.raises(ValueError, match=r"a.json has no category \['dog'\]"):
        _dataset(tmp_path, classes=['cat', 'dog'])
    with pytest.raises(ValueError, match=r"classes hold \['cat'\] more than once"):
        _dataset(tmp_path, classes=['cat', 'cat'])
    with pytest.raises(ValueError, match="class_order='name' and classes"):
        _dataset(tmp_path, classes=['cat'], class_order='name')


@pytest.mark.parametrize('scope', [None, 'mmpretrain'])
def test_built_from_a_config(tmp_path, scope):
    _dataset(tmp_path)
    config = {
        'type': 'mmmlc.CocoMultiLabel',
        'data_root': str(tmp_path),
        'ann_file': 'a.json',
        'data_prefix': {'img_path': 'sub'},
        'pipeline': [{'type': 'mmmlc.LoadImage'}, {'type': 'mmmlc.PackInputs'}],
    }
    (tmp_path / 'sub').mkdir()
    with DefaultScope.overwrite_default_scope(scope):
        dataset = DATASETS.build(config)
    assert type(dataset) is CocoMultiLabel
    assert dataset.get_data_info(0)['img_path'] == str(tmp_path / 'sub/a.jpg')
