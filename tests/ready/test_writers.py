"""Files of predictions, read back by other readers."""

from __future__ import annotations

import base64
import csv
import io
import json
import re

import numpy as np
import pytest
from helpers.ready_models import write_colours
from PIL import Image
from pyarrow import parquet

from mmmlc.ready import Prediction, Region
from mmmlc.ready.writers import prediction_file

CLASSES = ('cat', '=dog', '</script><b>')


def predictions(paths):
    rng = np.random.default_rng(0)
    for number, path in enumerate(paths):
        scores = dict(zip(CLASSES, rng.random(3).tolist(), strict=True))
        labels = tuple(name for name in CLASSES if scores[name] > 0.4)
        box = (5.0, 8.0, 25.0, 40.0)
        regions = (Region(box, CLASSES[number % 3], 0.25),) if number else ()
        yield Prediction(path, labels, scores, regions)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('written')
    paths = write_colours(folder / 'photos')
    for suffix in ('json', 'jsonl', 'csv', 'parquet', 'html'):
        with prediction_file(folder / f'out.{suffix}', CLASSES) as write:
            for found in predictions(paths):
                write(found)
    return folder, [*predictions(paths)]


def same(entry: dict, found: Prediction) -> None:
    assert entry['image'] == found.image and tuple(entry['labels']) == found.labels
    np.testing.assert_allclose([*entry['scores'].values()], [*found.scores.values()], rtol=1e-6)
    assert [*entry['scores']] == [*CLASSES]
    regions = [Region(tuple(r['box']), r['label'], r['score']) for r in entry['regions']]
    assert tuple(regions) == found.regions


def test_json(written):
    folder, wanted = written
    content = json.loads((folder / 'out.json').read_text())
    assert content['classes'] == [*CLASSES]
    lines = list(map(json.loads, (folder / 'out.jsonl').read_text().splitlines()))
    table = parquet.read_table(folder / 'out.parquet').to_pylist()
    for entries in (content['images'], lines, table):
        assert len(entries) == len(wanted) == 7
        for entry, found in zip(entries, wanted, strict=True):
            same(entry, found)


def test_csv(written):
    folder, wanted = written
    head, *rows = csv.reader(io.StringIO((folder / 'out.csv').read_text()))
    assert head == ['image', 'labels', 'cat', "'=dog", '</script><b>']  # no formula
    for row, found in zip(rows, wanted, strict=True):
        assert row[0] == found.image
        assert row[1].replace("'", '') == ';'.join(found.labels)
        scores = np.array(row[2:], float)
        np.testing.assert_allclose(scores, [*found.scores.values()], rtol=1e-5)


def test_page_holds_everything_and_no_markup_of_names(written):
    folder, wanted = written
    page = (folder / 'out.html').read_text()
    assert page.count('</script>') == 1 and '://' not in page
    assert 'CLASSES' not in page and 'PHOTOS' not in page
    entries = [json.loads(text) for text in re.findall(r'^photos\.push\((.*)\);$', page, re.M)]
    assert len(entries) == len(wanted)
    for entry, found in zip(entries, wanted, strict=True):
        assert entry['image'] == found.image
        assert tuple(CLASSES[i] for i in entry['labels']) == found.labels
        picture = Image.open(io.BytesIO(base64.b64decode(entry['picture'])))
        assert picture.size == (50, 40)
        for (x1, y1, x2, y2, label, score), region in zip(
            entry['regions'], found.regions, strict=True
        ):
            assert (x1, y1, x2, y2) == (0.1, 0.2, 0.5, 1.0)
            assert CLASSES[label] == region.label and score == region.score


def test_other_suffixes_are_refused(tmp_path):
    message = r"out.xlsx: suffix '.xlsx', expected one of .json, "
    with (
        pytest.raises(ValueError, match=message),
        prediction_file(tmp_path / 'out.xlsx', CLASSES),
    ):
        pass


def test_an_interrupted_file_is_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt), prediction_file(tmp_path / 'out.json', CLASSES):
        raise KeyboardInterrupt
    assert not [*tmp_path.iterdir()]
