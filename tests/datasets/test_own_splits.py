"""Options of OwnLabels for splits, groups, names and paths, and what is said about splits."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset

from mmmlc.datasets import MultiLabelDataset, OwnLabels, vocabulary
from mmmlc.datasets.split_checks import Finding, count_positives, judge_splits

SPLITS = ('train', 'val', 'test')


@pytest.fixture
def said(monkeypatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr(vocabulary, 'warn', messages.append)
    monkeypatch.setattr(vocabulary, '_warned', set())
    return messages


@pytest.fixture
def write(tmp_path):
    def function(text: str, name: str = 'a.csv') -> str:
        (tmp_path / name).write_text(text, encoding='utf-8')
        return str(tmp_path / name)

    return function


def ids(dataset) -> list[str]:
    return [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]


# --- divided


def rows(count: int, group: int | None = None) -> str:
    names = ['a', 'b', 'a;c', '']
    lines = [f'{i}.jpg,{names[i % 4]}' for i in range(count)]
    if group is None:
        return '\n'.join(['path,labels', *lines])
    return '\n'.join(['path,labels,group', *(f'{x},s{i // group}' for i, x in enumerate(lines))])


def test_stratified(write):
    path = write(rows(200))
    parts = [OwnLabels(path, split=name, split_by='stratified') for name in SPLITS]
    assert [len(part) for part in parts] == [140, 30, 30]
    # 'a' is in 100 images, b and c in 50 each.
    found = [part.count_positives().tolist() for part in parts]
    assert found[0] == [70, 35, 35]
    assert sorted(found[1:]) == [[15, 7, 8], [15, 8, 7]]
    assert len({name for part in parts for name in ids(part)}) == 200
    again = OwnLabels(path, split='val', split_by='stratified')
    assert ids(again) == ids(parts[1])
    assert ids(OwnLabels(path, split='val', split_by='stratified', seed=1)) != ids(parts[1])
    with pytest.raises(ValueError, match="split_by='stratified' with split='train'"):
        OwnLabels(path, split='stratified')
    with pytest.raises(ValueError, match="split_by='best', expected one of"):
        OwnLabels(path, split_by='best')


@pytest.mark.parametrize('by', ['path', 'stratified'])
def test_groups_stay_together(write, by):
    parts = [OwnLabels(write(rows(400, 4)), split=name, split_by=by) for name in SPLITS]
    groups = [{int(name[:-4]) // 4 for name in ids(part)} for part in parts]
    assert sum(map(len, groups)) == 100 == len(set.union(*groups))
    assert min(map(len, groups)) >= 8
    apart = OwnLabels(write(rows(400, 4)), split='val', split_by=by, group_column='')
    assert ids(apart) == ids(OwnLabels(write(rows(400)), split='val', split_by=by))


def test_groups_of_json_lines(write):
    lines = [{'path': f'{i}', 'labels': ['a'], 'scene': i // 5 or None} for i in range(100)]
    path = write('\n'.join(map(json.dumps, lines)), 'a.jsonl')
    parts = [OwnLabels(path, split=name, group_column='scene') for name in SPLITS]
    scenes = [{int(name) // 5 for name in ids(part)} - {0} for part in parts]
    assert sum(map(len, scenes)) == 19
    bad = write('{"path": "a", "labels": [], "group": 1.5}', 'b.jsonl')
    with pytest.raises(ValueError, match='b.jsonl: line 1: group is 1.5, expected text or an int'):
        OwnLabels(bad)


def test_group_that_may_be_a_class(write):
    path = write('path,cat,group\na,1,0\nb,0,1\n')
    with pytest.raises(ValueError, match="column 'group' holds .*group_column='' if it is a class"):
        OwnLabels(path)
    assert OwnLabels(path, group_column='').metainfo['classes'] == ('cat', 'group')
    assert OwnLabels(path, group_column='group').metainfo['classes'] == ('cat',)


def test_groups_that_a_split_column_divides(write, said):
    path = write('path,labels,split,group\na,x,train,1\nb,x,val,1\nc,x,val,2\n')
    assert ids(OwnLabels(path, split='val')) == ['b', 'c']
    assert "the group '1' is in the splits ['train', 'val'] (1 such groups in all)" in said[0]


def test_large_groups_are_warned_of(write, said):
    OwnLabels(write(rows(100, 50)), split='train')
    assert any('groups of images that stay together make the splits' in text for text in said)


# --- judged


def test_splits_are_judged_once(write, said):
    path = write('path,labels,split\na,x,train\nb,x;y,test\nc,,val\nd,z,train\n')
    for name in ('train', 'val', 'test'):
        OwnLabels(path, split=name)
    assert sorted(text.removeprefix(f'{path}: ') for text in said) == [
        "test has no image of the class 'z'",
        "train has no image of the class 'y', which test has",
        'val: none of its 1 images has a class',
    ]


def test_judgement_by_hand():
    classes = [f'c{i}' for i in range(20)]
    one = np.ones(20, dtype=int)
    assert judge_splits({'train': one, 'val': one}, {'train': 20, 'val': 20}, classes) == []
    few = one.copy()
    few[:12] = 0
    found = judge_splits({'train': few, 'val': one, 'test': 0 * one},
                         {'train': 8, 'val': 20, 'test': 0}, classes)  # fmt: skip
    text = "train has no image of 12 of 20 classes: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', "
    text += "'c7', 'c8', 'c9' and 2 more, which val has"
    assert found == [Finding('train', text, False), Finding('test', 'test has no image', True)]
    nowhere = one.copy()
    nowhere[3] = 0
    (finding,) = judge_splits({'train': nowhere}, {'train': 5}, classes)
    assert finding == Finding('train', "train has no image of the class 'c3'", False)


def test_positives_of_wrapped_data(write):
    dataset = OwnLabels(write('path,a,b\nx,1,?\ny,1,1\nz,0,0\n'))
    assert dataset.count_positives().tolist() == [2, 1]
    for wrapped, expected in (
        (ConcatDataset([dataset, dataset]), ([4, 2], 6)),
        (RepeatDataset(dataset, 3), ([2, 1], 3)),
    ):
        counts, images = count_positives(wrapped)
        assert (counts.tolist(), images) == expected
    content = {
        'metainfo': {'classes': ['a', 'b']},
        'data_list': [{'img_path': 'x', 'gt_label': [1]}],
    }
    other = MultiLabelDataset(write(json.dumps(content), 'a.json'))
    assert other.count_positives().tolist() == [0, 1]


# --- names


def test_rename(write):
    path = write('path,labels,unknown\na,Cat;nan;dog,\nb,cat;Cat,kat\n')
    dataset = OwnLabels(path, rename={'Cat': 'cat', 'kat': 'dog', 'nan': None})
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    assert [dataset.get_cat_ids(i) for i in range(2)] == [[0, 1], [0]]
    assert dataset.get_data_info(1)['gt_label_ignore'] == [1]
    table = write('path,Cat,dog,cat,index\na,1,0,?,7\nb,0,1,1,8\nc,0,?,0,9\n')
    dataset = OwnLabels(table, rename={'Cat': 'cat', 'index': None})
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    found = [dataset.get_data_info(i) for i in range(3)]
    assert [info['gt_label'] for info in found] == [[0], [0, 1], []]
    assert [info['gt_label_ignore'] for info in found] == [[], [], [1]]
    chosen = OwnLabels(table, rename={'Cat': 'cat', 'index': None}, classes=['cat'])
    assert [chosen.get_cat_ids(i) for i in range(3)] == [[0], [0], []]
    for rename in ({'a': 7}, {3: 'a'}, {'a': ' '}):
        with pytest.raises(ValueError, match='rename=.*expected names, or None'):
            OwnLabels(path, rename=rename)


def test_hints_where_classes_are_given(write):
    path = write('path,labels\na,cat dog\n')
    with pytest.raises(ValueError, match="has the class 'cat dog'.*separator=' ' gives 'cat' and"):
        OwnLabels(path, classes=['cat', 'dog'])
    path = write('path,labels\na,cafe\u0301\n')
    with pytest.raises(ValueError, match=r"mean 'café' \('caf\\xe9' for 'cafe\\u0301'\)"):
        OwnLabels(path, classes=['caf\u00e9'])
    with pytest.raises(ValueError, match="classes hold the empty name ' '"):
        OwnLabels(path, classes=[' '])


# --- paths


def test_photos_of_two_spellings(write, tmp_path, said):
    with pytest.raises(ValueError, match="line 3 repeats the image '.*/a.jpg' of line 2"):
        OwnLabels(write(f'path,labels\na.jpg,x\n{tmp_path}/a.jpg,x\n'))
    both = write('path,labels\nA.jpg,x\na.JPG,x\n')
    OwnLabels(both)
    assert 'differ in case or accents alone: are they one photo?' in said[0]
    (tmp_path / 'A.jpg').write_bytes(b'1')
    (tmp_path / 'a.JPG').write_bytes(b'2')
    said.clear()
    OwnLabels(both)  # two files
    assert not said
    (tmp_path / 'a.JPG').unlink()
    os.link(tmp_path / 'A.jpg', tmp_path / 'a.JPG')  # what a system without case makes of them
    with pytest.raises(ValueError, match="lines 2 and 3: 'A.jpg' and 'a.JPG' are one file"):
        OwnLabels(both)


def test_spellings_fall_into_one_split(write):
    plain = [f'd/{i}.jpg' for i in range(200)]
    odd = [f'./d/x/../{i}.jpg' if i % 2 else f'd\\.\\{i}.jpg' for i in range(200)]
    for split in SPLITS:
        files = ('\n'.join(['path,labels', *(f'{p},x' for p in paths)]) for paths in (plain, odd))
        found = [OwnLabels(write(text), split=split) for text in files]
        assert ids(found[0]) == ids(found[1])


def test_absolute_paths_without_data_root(write):
    assert ids(OwnLabels(write('path,labels\n/x/a.jpg,x\n../b.jpg,x\n'))) == [
        '/x/a.jpg',
        '../b.jpg',
    ]


def test_links_are_followed(write, tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'data/images').symlink_to(tmp_path / 'elsewhere')
    write('path,labels\nimages/a.jpg,x\n', 'data/a.csv')
    assert ids(OwnLabels('a.csv', data_root=str(tmp_path / 'data'))) == ['images/a.jpg']
    write('path,labels\nimages/../../b.jpg,x\n', 'data/a.csv')
    with pytest.raises(ValueError, match="'../b.jpg' is outside of data_root"):
        OwnLabels('a.csv', data_root=str(tmp_path / 'data'))


def test_json_lines_are_renamed_as_tables_are(tmp_path):
    path = tmp_path / 'labels.jsonl'
    lines = [dict(path='a.jpg', labels=['kat']), dict(path='b.jpg', labels=['cat', 'nan'])]
    path.write_text('\n'.join(map(json.dumps, lines)))
    dataset = OwnLabels(str(path), rename={'kat': 'cat', 'nan': None})
    assert dataset.metainfo['classes'] == ('cat',)
    assert [dataset.get_data_info(i)['gt_label'] for i in range(2)] == [[0], [0]]
