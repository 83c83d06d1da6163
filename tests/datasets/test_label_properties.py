"""Paths, JSON and vocabularies of any content: what always holds."""

from __future__ import annotations

import json
import os
import posixpath
import random

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mmmlc.datasets import OwnLabels
from mmmlc.datasets.image_paths import ImageFolder, plain_path
from mmmlc.datasets.text_files import decode, parse_json, read_xml
from mmmlc.datasets.vocabulary import doubts

PARTS = st.sampled_from(['..', '.', 'a', 'b.jpg', 'x y', 'é', '...', '.a', 'C:', ''])
PATHS = st.tuples(st.sampled_from(['', '/', './', '../']), st.lists(PARTS, min_size=1, max_size=6),
                  st.sampled_from('/\\')).map(lambda p: p[0] + p[2].join(p[1]))  # fmt: skip


@settings(max_examples=1000)
@given(PATHS)
@example('x/../../root/a')
def test_a_path_inside_or_refused(path):
    """By the rules of the file system, on the path that is opened."""
    assume(path.strip())
    folder = ImageFolder('/data/root/images', '/data/root')
    try:
        found = folder.join(path, 'here')
    except ValueError as error:
        assert str(error).startswith('here: ')
        resolved = os.path.normpath(os.path.join(folder.prefix, path.replace('\\', '/')))
        outside = not (resolved + '/').startswith('/data/root/')
        assert outside or path.replace('\\', '/').startswith('C:/') or 'C:/' in plain_path(path)
    else:
        assert (os.path.normpath(found) + '/').startswith('/data/root/')
        assert '\\' not in found and '/./' not in found


@settings(max_examples=500)
@given(PATHS)
def test_one_spelling(path):
    plain = plain_path(path)
    assert plain_path(plain) == plain
    if path and '://' not in path:
        assert posixpath.normpath(path.replace('\\', '/')) == posixpath.normpath(plain)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(JSON, st.booleans())
def test_json_is_what_the_standard_library_reads(content, plain):
    text = json.dumps(content, ensure_ascii=plain)
    assert parse_json(text, 'x') == content


@settings(max_examples=300)
@given(st.text() | st.binary().map(lambda data: data.decode('latin-1')), JSON, st.integers(0, 40))
def test_any_text_is_json_or_an_error(text, content, cut):
    for broken in (text, json.dumps(content)[:cut]):
        try:
            expected = json.loads(broken, parse_constant=lambda _: 1 / 0)
        except (ValueError, ZeroDivisionError):
            with pytest.raises(ValueError, match='^here '):
                parse_json(broken, 'here')
        else:
            try:
                assert parse_json(broken, 'here') == expected
            except ValueError as error:
                assert 'twice in one object' in str(error)


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b'\xff\xfe\x00')
@example(b'<?xml version="1.0" encoding="utf-16"?><a/>')
@example(b'<?xml version="1.0" encoding="hex"?><a/>')
def test_any_bytes_are_text_and_xml_or_an_error(data):
    for read in (decode, read_xml):
        try:
            read('here', data)
        except ValueError as error:
            assert str(error).startswith('here')


def test_places_in_json():
    for text, message in (
        ('{"a": {"k": 1},\n "b": {"k": 2, "k": 3}}', r"'k' twice .* at line 2 column 16"),
        ('[1,\n\n NaN]', 'holds NaN at line 3 column 2'),
        ('["NaN", NaN]', 'holds NaN at line 1 column 9'),
        ('[1,\n' + '7' * 5000 + ']', 'integer of too many digits at line 2 column 1'),
        ('{"a":\n' + '[' * 100_000, 'nested too deeply: more than 500 levels at line 2 column 500'),
    ):
        with pytest.raises(ValueError, match=message):
            parse_json(text, 'here')


WORDS = ['cat', 'dog', 'hot dog', 'fire truck', 'traffic light', 'lamp', 'sofa', 'tree', 'person']


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from([' ', ',', '|', '/', '+', '&', '\t']), st.integers(4, 12)
)
def test_lists_of_another_separator_are_found(seed, mark, classes):
    """Random subsets of 4 to 12 classes in 150 rows: never taken for classes without a word."""
    draw = random.Random(seed)
    names = [f'c{i}' for i in range(classes)]
    lists = {mark.join(draw.sample(names, draw.randint(1, 3))) for _ in range(150)}
    found = [doubt for doubt in doubts(sorted(lists), ';') if doubt.kind == 'separator']
    assert found[0].certain and found[0].value == mark


@settings(max_examples=200)
@given(st.lists(st.sampled_from(WORDS), min_size=1, unique=True), st.booleans())
def test_honest_vocabularies_are_not_questioned(names, joined):
    assert not list(doubts(names, ';', joined))


COCO = """person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|
stop sign|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|
umbrella|handbag|tie|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|
skateboard|surfboard|tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|
sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|potted plant|bed|
dining table|toilet|
tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|
scissors|teddy bear|hair drier|toothbrush""".replace('\n', '').split('|')


@pytest.mark.parametrize('joined', [True, False])
def test_known_vocabularies_are_not_questioned(joined):
    grid = [f'{colour} {thing}' for colour in ('red', 'blue') for thing in ('car', 'bus')]
    for names in (COCO, grid, [f'class {i:02d}' for i in range(80)], ['0', '1', '2'], ['a/b', 'c'],
                  ['R&B', 'rock'], ['C++', 'C'], ['x-ray', 'ct'], ['Ünder', 'unter']):  # fmt: skip
        assert not list(doubts(names, ';', joined)), names


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_csv_is_read_or_refused_with_its_place(tmp_path_factory, data):
    """Bytes of a good file changed at random: read, or a ValueError that names the file."""
    good = bytearray(b'path,labels,split\na.jpg,cat;dog,train\n"b,c.jpg",cat,train\nd/e.jpg,,val\n')
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp('csv') / 'a.csv'
    path.write_bytes(bytes(good))
    try:
        dataset = OwnLabels('a.csv', data_root=str(path.parent))
    except ValueError as error:
        assert str(path) in str(error)
    else:
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            assert os.path.normpath(info['img_path']).startswith(str(path.parent))
