"""Areas and sides that float32 does not hold."""

from __future__ import annotations

import json

import pytest

from mmmlc.datasets.coco import CocoMultiLabel

GOOD = dict(id=5, image_id=1, category_id=1, bbox=[1, 2, 3, 4], area=12)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(area=-1), r'annotation id 5 has area=-1'),
        (dict(area=1e39), r'annotation id 5 has area=1e\+39'),
        (dict(area=10**400), 'annotation id 5 has area=1000'),
        (dict(area=float('nan')), 'holds NaN at line 1 column'),
        (dict(area='12'), "annotation id 5 has area='12', expected a finite number"),
        (dict(bbox=[0, 0, 10**400, 1]), r'annotation id 5 has bbox=\[0, 0, 1000'),
        (dict(bbox=[0, 0, 1e200, 1]), r'annotation id 5 has bbox=\[0, 0, 1e\+200, 1\]'),
    ],
)
def test_numbers_of_annotations(tmp_path, change, message):
    image, category = dict(id=1, file_name='a.jpg', width=9, height=9), dict(id=1, name='cat')
    for annotation in (GOOD, GOOD | change):
        content = dict(images=[image], annotations=[annotation], categories=[category])
        (tmp_path / 'a.json').write_text(json.dumps(content))
        options = dict(data_root=str(tmp_path), data_prefix=dict(img_path=''))
        if annotation is GOOD:
            assert CocoMultiLabel('a.json', **options)[0]['box_areas'].tolist() == [12]
            continue
        with pytest.raises(ValueError, match=rf'a\.json:? {message}'):
            CocoMultiLabel('a.json', **options)


@pytest.mark.parametrize('side', [float('nan'), float('inf'), 10**400, '9', None])
def test_sizes_of_images(tmp_path, side):
    image, category = dict(id=1, file_name='a.jpg', width=side, height=9), dict(id=1, name='cat')
    content = dict(images=[image], annotations=[GOOD], categories=[category])
    (tmp_path / 'a.json').write_text(json.dumps(content))
    there, plain = r': images\[0\] has width=.*, expected a finite', ' holds (NaN|Infinity) at'
    with pytest.raises(ValueError, match=f'a.json({there}|{plain})'):
        CocoMultiLabel('a.json', data_root=str(tmp_path), data_prefix=dict(img_path=''))
