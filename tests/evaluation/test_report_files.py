"""Class names from anywhere in the tables, CSV files and file names that results are written to."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmmlc.evaluation.report import ClassResult, render_table, write_report
from mmmlc.evaluation.voc_server import VOCServerFiles
from mmmlc.neutral import safe_cell

NAMES = [
    *('cat', '猫', '=cmd|"/c calc"!A0', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', 'a\nINFO forged'),
    *('\x1b[2J\x1b]0;title\x07', '[bold]x[/bold]', '[/]', 'a\\', '../../x', 'x' * 251, '$x_1$'),
]


def results() -> list[ClassResult]:
    return [ClassResult(name, 50.0, 1.0, 2.0, 3.0, 4) for name in NAMES]


@pytest.mark.filterwarnings('ignore:Glyph')  # whether the plot's font has them is no matter here
def test_csv_runs_nothing_and_json_keeps_the_names(tmp_path):
    write_report(tmp_path, results(), {'mAP': 50.0})
    assert {path.name for path in tmp_path.iterdir()} == {
        'summary.json', 'per_class.json', 'per_class.csv', 'per_class.png'}  # fmt: skip
    with open(tmp_path / 'per_class.csv', newline='', encoding='utf-8') as file:
        header, *rows = csv.reader(file)
    assert header == ['name', 'AP', 'precision', 'recall', 'F1', 'positives']
    assert [row[0] for row in rows] == [safe_cell(name) for name in NAMES]
    assert not [row for row in rows for cell in row if cell.startswith(tuple('=+-@\t\r'))]
    assert rows[0][1:] == ['50.0', '1.0', '2.0', '3.0', '4']
    assert len((tmp_path / 'per_class.csv').read_text(encoding='utf-8').splitlines()) == 17
    content = json.loads((tmp_path / 'per_class.json').read_text(encoding='utf-8'))
    assert [row['name'] for row in content] == NAMES


def test_table_speaks_to_no_terminal():
    text = render_table(results())
    assert all(line.isprintable() for line in text.split('\n'))
    for shown in ('[bold]x[/bold]', r'a\nINFO forged', r'\x1b[2J\x1b]0;title\x07', '[/]', '猫'):
        assert shown in text
    assert sum('INFO forged' in line for line in text.split('\n')) == 1


def evaluate(folder, classes, img_id='a') -> None:
    metric = VOCServerFiles(str(folder))
    metric.dataset_meta = {'classes': classes}
    sample = BaseDataElement(metainfo={'img_id': img_id})
    sample.pred_score = torch.rand(len(classes))
    metric.process(None, [sample.to_dict()])
    metric.evaluate(1)


@pytest.mark.parametrize(
    'name', ['../x', '/x', 'a/b', 'a\\b', '..', 'a\nb', 'x' * 251, 'a\0', 'b ']
)
def test_class_names_are_no_paths(tmp_path, name):
    with pytest.raises(ValueError, match='cannot be in the name of a file'):
        evaluate(tmp_path / 'out', ['cat', name])
    assert not list(tmp_path.rglob('*.txt'))


def test_names_beyond_ascii(tmp_path):
    evaluate(tmp_path, ['猫', 'é'], 'ü')
    texts = [path.read_text(encoding='utf-8') for path in tmp_path.rglob('*.txt')]
    assert len(texts) == 2 and all(text.startswith('ü 0.') for text in texts)
    with pytest.raises(ValueError, match="the image id 'a b' has blanks"):
        evaluate(tmp_path, ['cat'], 'a b')
