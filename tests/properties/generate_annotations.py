"""Annotation files with wrong numbers, texts and structures: checked samples, or a clear error."""

from __future__ import annotations

import copy
import csv
import io
import json
from xml.sax.saxutils import escape

import numpy as np
from helpers.cases import generated, right_or_refused
from hypothesis import strategies as st

from mmmlc.datasets.coco import CocoMultiLabel
from mmmlc.datasets.multilabel import MultiLabelDataset
from mmmlc.datasets.own_labels import OwnLabels
from mmmlc.datasets.voc import VOC

ODD = st.sampled_from(
    [float('nan'), float('inf'), -float('inf'), -1, 0, 1, 2, 0.5, 1e308, 10**400, None, True, False]
    + ['', 'a', '1', 'nan', [], [1], {}, 3.0]
)
PLACES = [
    *[('images', 0, key) for key in ('id', 'file_name', 'width', 'height')],
    *[
        ('annotations', 1, key)
        for key in ('id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd')
    ],
    *[('annotations', 1, 'bbox', i) for i in range(4)],
    *[('categories', 0, key) for key in ('id', 'name')],
    *[(key,) for key in ('images', 'annotations', 'categories')],
    *[(key, 0) for key in ('images', 'annotations', 'categories')],
]
COCO = dict(
    images=[dict(id=i, file_name=f'{i}.jpg', width=40, height=30) for i in (1, 2)],
    annotations=[
        dict(id=i, image_id=1 + i % 2, category_id=1 + i, bbox=[1, 2, 9, 8], area=72, iscrowd=0)
        for i in range(2)
    ],
    categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
)


def _check_samples(dataset):
    """What the rest of the package relies on."""
    classes = dataset.metainfo['classes']
    assert len(set(classes)) == len(classes) > 0
    assert all(isinstance(name, str) for name in classes)
    for i in range(len(dataset)):
        sample = dataset.get_data_info(i)
        for key in ('gt_label', 'gt_label_ignore', 'gt_label_difficult'):
            labels = list(sample.get(key, ()))
            assert all(0 <= label < len(classes) for label in labels), (key, labels)
            assert len(set(labels)) == len(labels)
        assert isinstance(sample['img_path'], str)
        if 'boxes' not in sample:
            continue
        boxes = sample['boxes']
        assert ((boxes >= 0) & (boxes <= 1)).all() and (boxes[:, :2] <= boxes[:, 2:]).all()
        if 'box_areas' in sample:
            areas = sample['box_areas']
            assert np.isfinite(areas).all() and (areas >= 0).all(), areas
        if 'ann_shape' in sample:
            assert all(0 < side < np.inf for side in sample['ann_shape'])


def _put(content, place, value):
    content = copy.deepcopy(content)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    if value == 'missing':
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return content


@generated(
    st.tuples(st.sampled_from(PLACES), ODD | st.just('missing'), st.booleans(), st.floats(0, 1.5)),
    share=10,
)
def coco_files(case, folder):
    place, value, with_boxes, cut = case
    text = json.dumps(_put(COCO, place, value))
    (folder / 'coco.json').write_text(text[: int(cut * len(text))] if cut < 1 else text)

    def load():
        dataset = CocoMultiLabel(
            'coco.json', data_root=str(folder), data_prefix=dict(img_path=''), with_boxes=with_boxes
        )
        _check_samples(dataset)

    returned, _ = right_or_refused(load, 'coco.json', errors=(ValueError,))
    if returned and with_boxes and cut >= 1 and value != 'missing':
        key = place[2] if len(place) > 2 else ''
        assert key != 'iscrowd' or value in (0, 1)
        assert key not in ('width', 'height') or 0 < value < np.inf
        assert key != 'area' or value is None or not value < 0


CELLS = st.sampled_from(
    [
        '1',
        '0',
        '',
        '?',
        '-1',
        '1.0',
        '0.5',
        'nan',
        'inf',
        '2',
        '-2',
        ' 1 ',
        '1e0',
        'cat',
        '"',
        '\x00',
    ]
)
TEXTS = st.text(min_size=0, max_size=4) | st.sampled_from(
    ['cat', 'dog', 'cat;dog', ';', 'cat;cat', '"']
)


def _csv(header, rows):
    file = io.StringIO(newline='')
    writer = csv.writer(file)
    writer.writerows([header, *rows])
    return file.getvalue()


@st.composite
def _label_files(draw):
    kind = draw(st.sampled_from(['table', 'lists', 'lines']))
    count = draw(st.integers(0, 4))
    names = draw(st.lists(st.sampled_from('abcd'), min_size=count, max_size=count))
    paths = [f'{name}.jpg' for name in names]
    if kind == 'table':
        rows = [[path, draw(CELLS), draw(CELLS)] for path in paths]
        text = _csv(['path', 'cat', draw(st.sampled_from(['dog', 'dog', 'dog', 'cat', '']))], rows)
    elif kind == 'lists':
        rows = [[path, draw(TEXTS), draw(st.sampled_from(['', 'cat', 'dog']))] for path in paths]
        text = _csv(['path', 'labels', 'unknown'], rows)
    else:
        values = st.lists(TEXTS | ODD, max_size=3) | ODD
        rows = [dict(path=path, labels=draw(values)) for path in paths]
        text = '\n'.join(map(json.dumps, rows))
    cut = draw(st.integers(0, 3 * len(text) + 1))
    data = text.encode('utf-8', 'surrogatepass')
    data = data[:cut] if cut < len(text) else data
    if draw(st.integers(0, 9)) == 0:
        data += bytes([draw(st.integers(0, 255))])
    return kind, data


@generated(_label_files(), share=10)
def own_label_files(case, folder):
    kind, data = case
    name = 'own.jsonl' if kind == 'lines' else 'own.csv'
    (folder / name).write_bytes(data)
    options = dict(data_root=str(folder), repeated='merge')
    right_or_refused(
        lambda: _check_samples(OwnLabels(name, **options)), name, errors=(ValueError, TypeError)
    )


@st.composite
def _openmmlab(draw):
    labels = st.lists(ODD | st.integers(-1, 3), max_size=3) | ODD
    entries = [
        dict(img_path=draw(st.sampled_from(['a.jpg', 'b.jpg'])), gt_label=draw(labels))
        for _ in range(draw(st.integers(0, 3)))
    ]
    names = draw(st.just(['cat', 'dog']) | st.just(['cat', 'cat']) | ODD)
    return dict(metainfo=dict(classes=names), data_list=draw(st.just(entries) | ODD))


@generated(_openmmlab(), share=4)
def openmmlab_files(case, folder):
    (folder / 'labels.json').write_text(json.dumps(case))
    options = dict(data_root=str(folder), data_prefix=dict(img_path=''))
    right_or_refused(
        lambda: _check_samples(MultiLabelDataset('labels.json', **options)),
        'labels.json',
        errors=(ValueError, TypeError),
    )


XML_NUMBERS = st.sampled_from(
    ['3', '20', '0', '-5', 'nan', 'inf', '1e400', '', 'x', '20.5', '61', '999999999999999999999']
)


@generated(
    st.tuples(
        st.sampled_from(['width', 'height', 'xmin', 'ymax', 'difficult', 'name']),
        XML_NUMBERS,
        st.floats(0, 3),
    ),
    share=4,
)
def voc_files(case, folder):
    key, value, cut = case
    fields = dict(width='60', height='40', xmin='3', ymin='4', xmax='20', ymax='30', difficult='0')
    fields |= {'name': 'cat', key: value}
    f = {name: escape(text) for name, text in fields.items()}
    xml = (
        f'<annotation><size><width>{f["width"]}</width><height>{f["height"]}</height></size><object>'
        f'<name>{f["name"]}</name><difficult>{f["difficult"]}</difficult><bndbox>'
        + ''.join(f'<{k}>{f[k]}</{k}>' for k in ('xmin', 'ymin', 'xmax', 'ymax'))
        + '</bndbox></object></annotation>'
    )
    for part in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / 'Annotations/a.xml').write_text(xml[: int(cut * len(xml))] if cut < 1 else xml)
    (folder / 'ImageSets/Main/train.txt').write_text('a\n')

    right_or_refused(
        lambda: _check_samples(VOC(data_root=str(folder), split='train')),
        'a.xml',
        errors=(ValueError,),
    )
