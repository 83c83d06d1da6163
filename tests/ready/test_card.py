"""Cards: what is measured and what is not, and where the photographs are from."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from helpers.ready_models import write_colours
from sklearn.metrics import average_precision_score, f1_score

from mmmlc.datasets import CocoMultiLabel, OwnLabels
from mmmlc.neutral import write_csv
from mmmlc.ops.score_accumulator import ScoreAccumulator
from mmmlc.ready import measure
from mmmlc.ready.card import Card, class_table, frequent, photographs
from mmmlc.ready.measure import rows_of

NAMES = ['cat', 'dog', 'a|b\n']


def test_classes_with_few_positives_are_not_measured():
    counts, aps = torch.tensor([20, 19, 0]), torch.tensor([0.5, 0.9, torch.nan])
    thresholds = torch.tensor([0.25, 0.5, 0.5])
    head, *lines = class_table(NAMES, thresholds, (counts, aps))
    assert head == ['class', 'positives', 'AP', 'threshold']
    assert lines == [
        ['cat', 20, '50.0', '0.250'],
        ['dog', 19, 'not measured', '0.500'],
        ['a|b\n', 0, 'not measured', '0.500'],
    ]
    assert class_table(NAMES, thresholds)[1] == ['cat', '0.250']


def test_measures_of_other_images():
    scores = torch.rand(60, 3)
    positive = torch.rand(60, 3) < scores * torch.tensor([1, 0.9, 0.1])
    counts = positive.sum(0)
    assert counts[:2].min() >= 20 > counts[2] > 0
    accumulator = ScoreAccumulator()
    accumulator.update(scores, positive)
    evaluation = accumulator.compute(torch.tensor([0.3, 0.6, 0.9]))
    rows = rows_of(evaluation, 'val.csv')
    ap = [100 * average_precision_score(positive[:, c], scores[:, c]) for c in range(3)]
    labels = scores >= torch.tensor([0.3, 0.6, 0.9])
    assert rows['mAP on val.csv, 2 classes with at least 20 positives'] == f'{sum(ap[:2]) / 2:.1f}'
    assert rows['mAP on val.csv, 3 classes'] == f'{sum(ap) / 3:.1f}'
    (f1,) = (text for name, text in rows.items() if name.startswith('CF1'))
    assert f1.split(', ')[1] == f'{100 * f1_score(positive, labels, average="micro"):.1f}'
    table = class_table(NAMES, torch.zeros(3), val=evaluation)
    assert table[0] == ['class', 'val positives', 'val AP', 'threshold']
    assert [line[2] for line in table[1:]] == [f'{ap[0]:.1f}', f'{ap[1]:.1f}', 'not measured']
    accumulator = ScoreAccumulator()
    accumulator.update(scores[:9], positive[:9] | True)
    assert [*rows_of(accumulator.compute(), 'few')][0] == 'mAP on few, 3 classes'


def test_text_of_a_card():
    table = class_table(NAMES, torch.tensor([0.1, 0.2, 0.3]))
    text = Card(
        'mine', 'What.', {'mAP': '50.0'}, table, 'python x', ['LICENSE'], '## Data\n\nOurs.\n'
    ).text()
    assert text.startswith('# mine\n\nWhat.\n\n```python\nimport mmmlc\n')
    for part in ('| mAP | 50.0 |', "get_model('mine')", '\n\n## Data\n\nOurs.\n\n', '`LICENSE`: '):
        assert part in text
    assert r'| a\|b\n | 0.300 |' in text and 'photographs.csv' not in text
    assert '\n\n\n' not in text and text.endswith('\n')


def test_frequent_classes():
    assert frequent(NAMES, torch.tensor([6, 10, 9]), 10) == r'dog (100 %), a|b\n (90 %), cat (60 %)'
    assert frequent(NAMES, torch.tensor([5, 1, 0]), 10) == ''


@pytest.fixture
def coco(tmp_path):
    write_colours(tmp_path, 3)
    images = [
        dict(id=7, file_name='0.png', height=40, width=50, license=2, coco_url='http://a/0'),
        dict(id=8, file_name='1.png', height=40, width=50, flickr_url='http://f/1'),
        dict(id=9, file_name='2.png', height=40, width=50, license=5),
    ]
    annotations = [
        dict(id=i, image_id=i, category_id=1, bbox=[1, 1, 2, 2], iscrowd=0) for i in (7, 8, 9)
    ]
    licences = [dict(id=2, name='By', url='http://by')]
    content = dict(images=images, annotations=annotations, licenses=licences)
    content['categories'] = [dict(id=1, name='cat')]
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    return CocoMultiLabel('coco.json', data_root=str(tmp_path), with_boxes=False)


def test_photographs(coco, tmp_path):
    lines = photographs(coco)
    assert lines == [
        ['image', 'licence', 'licence_url', 'address'],
        ['0.png', 'By', 'http://by', 'http://a/0'],
        ['1.png', '', '', 'http://f/1'],
        ['2.png', '', '', ''],
    ]
    write_csv(tmp_path / 'list.csv', lines)
    with open(tmp_path / 'list.csv', newline='') as file:
        assert [*csv.reader(file)] == lines
    own = photographs(OwnLabels('labels.csv', data_root=str(tmp_path)))
    assert own[1:] == [[f'{i}.png', '', '', ''] for i in range(3)]


def test_times_where_more_threads_help(tmp_path, monkeypatch):
    (tmp_path / 'model.safetensors').write_bytes(bytes(1_500_000))
    monkeypatch.setattr(measure.os, 'sched_getaffinity', lambda process: {0, 1, 2})
    for seconds, shown in (({1: 0.2, 3: 0.1}, [1, 3]), ({1: 0.2, 3: 0.5}, [1])):
        found = seconds.__getitem__
        monkeypatch.setattr(measure, 'seconds_an_image', lambda m, i, n, found=found: found(n))
        rows = measure.cost_of(None, tmp_path, ['a.jpg'])
        names = [f'seconds an image, {n} CPU thread{"s" * (n > 1)}' for n in shown]
        assert [*rows] == ['size of the weights', *names]
        assert rows[names[-1]] == f'{seconds[shown[-1]]:.3f}'
        assert rows['size of the weights'] == '1.5 MB'
    assert [*measure.cost_of(None, tmp_path, [])] == ['size of the weights']
