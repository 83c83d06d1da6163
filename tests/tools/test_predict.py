"""tools/predict.py: from a model and files to labels."""

from __future__ import annotations

import csv
import json
import re

import pytest
from helpers.places import tool
from helpers.ready_models import write_colours, write_ready

from mmmlc.ready import get_model
from mmmlc.ready.lookahead import ahead


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp('predict')
    write_ready(folder / 'model')
    write_colours(folder / 'photos')
    (folder / 'photos/broken.png').write_bytes(b'no image')
    return folder


def predict(*words) -> int:
    return tool('predict').main([str(word) for word in words])


def test_labels_of_a_folder(place, tmp_path, capsys):
    model, photos, out = place / 'model', place / 'photos', tmp_path / 'out'
    paths = sorted(str(path) for path in photos.glob('[0-9].png'))
    wanted = get_model(model).predict(paths)
    options = ('--batch-size', 3, '--out', out / 'a.json', '--show-dir', out / 'pictures')
    for threads in (0, 2):
        assert predict(model, photos, *options, '--threads', threads) == 3  # one is broken
        found = json.loads((out / 'a.json').read_text())['images']
        assert [one['image'] for one in found] == paths
        for one, right in zip(found, wanted, strict=True):
            assert one['labels'] == [*right.labels]
            assert one['scores'] == pytest.approx(right.scores, abs=1e-6)
    assert len([*(out / 'pictures').glob('*.jpg')]) == len(paths) == 7
    said = capsys.readouterr().err
    assert '7 of 8 images in ' in said and re.search('left out: .*broken.png: begins with', said)
    assert predict(model, *paths, '--out', out / 'a.csv') == 0
    assert len([*csv.reader((out / 'a.csv').open())]) == 8


def test_lines_on_the_terminal(place, capsys):
    path = place / 'photos/6.png'
    (found,) = get_model(place / 'model').predict([path])
    assert predict(place / 'model', path) == 0
    labels = ', '.join(f'{name} {found.scores[name]:.2f}' for name in found.labels)
    assert capsys.readouterr().out == f'{path}: {labels or "no label"}\n'
    assert predict(place / 'model', path, '--top', 2) == 0
    best = ', '.join(f'{name} {score:.2f}' for name, score in found.top(2))
    assert capsys.readouterr().out == f'{path}: {best}\n'


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (('model', 'gone.jpg'), 'gone.jpg: no such file'),
        (('modl', 'photos'), "did you mean 'model'"),
        (('model', 'photos', '--out', 'a.doc'), "a.doc: suffix '.doc', expected one of"),
        (('model', 'photos', '--batch-size', '0'), '--batch-size is 0, expected at least 1'),
        (('model', 'photos', '--top', '0'), '--top is 0, expected at least 1'),
    ],
)
def test_what_is_wrong_is_said(place, words, said, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv('MMMLC_MODELS', str(place))
    with pytest.raises(SystemExit) as left:
        predict(*words)
    assert said in str(left.value) + capsys.readouterr().err


def test_no_more_results_wait_than_asked_for():
    taken: list[int] = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    results = ahead(lambda number: number**2, numbers(), threads=2, most=5)
    for index in range(50):
        assert next(results) == index**2
        assert len(taken) <= index + 7
    results.close()
    assert len(taken) < 60
