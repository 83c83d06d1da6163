"""OwnLabels on small files of all layouts, against a naive reading with csv.DictReader."""

from __future__ import annotations

import copy
import csv
import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, pseudo_collate
from mmengine.registry import DATASETS
from PIL import Image
from torch.utils.data import DataLoader

from mmmlc.datasets import label_csv, label_files, own_labels, vocabulary
from mmmlc.datasets.own_labels import OwnLabels
from mmmlc.datasets.transforms import BrokenImageError
from mmmlc.evaluation.multilabel import MultiLabelMetric
from mmmlc.models.predictions import stack_targets
from mmmlc.ops.losses import MultiLabelBCELoss

PIPELINE = [{'type': 'mmmlc.LoadImage'}, {'type': 'mmmlc.PackInputs'}]


@pytest.fixture
def write(tmp_path):
    """Write a file; text as it stands, or bytes."""

    def function(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return function


def read(dataset: OwnLabels) -> list[tuple]:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(i['img_id'], i['gt_label'], i['gt_label_ignore'], i['entry']) for i in infos]


def logged(monkeypatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr(own_labels, 'print_log', lambda text, **_: messages.append(text))
    return messages


# --- layouts


def test_csv_with_lists(write, tmp_path):
    path = write('a.csv', 'path,labels,unknown\na.jpg,dog;cat,\nsub/b.jpg,,cat\n/c.jpg,cat,dog\n')
    dataset = OwnLabels(path)
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    assert read(dataset) == [
        ('a.jpg', [0, 1], [], 2),
        ('sub/b.jpg', [], [0], 3),
        ('/c.jpg', [0], [1], 4),
    ]
    paths = [dataset.get_data_info(i)['img_path'] for i in range(3)]
    assert paths == [str(tmp_path / 'a.jpg'), str(tmp_path / 'sub/b.jpg'), '/c.jpg']


def test_table_with_a_column_per_class(write):
    path = write('a.csv', 'path,dog,cat,bird\na,1,0,1.0\nb,?,,-1\nc,0.0,-1.0, 1 \n')
    dataset = OwnLabels(path)
    assert dataset.metainfo['classes'] == ('dog', 'cat', 'bird')
    assert read(dataset) == [('a', [0, 2], [], 2), ('b', [], [0, 1, 2], 3), ('c', [2], [1], 4)]
    by_name = OwnLabels(path, class_order='name')
    assert by_name.metainfo['classes'] == ('bird', 'cat', 'dog')
    assert read(by_name)[0] == ('a', [0, 2], [], 2) and read(by_name)[2] == ('c', [0], [1], 4)


def test_json_lines(write):
    rows = [
        {'path': 'a', 'labels': ['ü\u2028', 'b'], 'note': 1},
        {'path': 'c', 'labels': [], 'unknown': ['b']},
    ]
    text = '\r\n\n'.join(json.dumps(row, ensure_ascii=False) for row in rows)
    dataset = OwnLabels(write('a.jsonl', text.encode('utf-8-sig')))
    assert dataset.metainfo['classes'] == ('b', 'ü')  # spaces around a name don't count
    assert read(dataset) == [('a', [0, 1], [], 1), ('c', [], [0], 3)]


@pytest.mark.parametrize('chunk', [1, 7, 65536])
@pytest.mark.parametrize('end', ['\n', '\r\n'])
@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
def test_random_csv_is_read_as_dict_reader_does(tmp_path, monkeypatch, chunk, end, delimiter):
    """Quotes, line ends inside of them, other columns, empty lines, names beyond ASCII."""
    monkeypatch.setattr(label_csv, 'CHUNK', chunk)
    rng = np.random.default_rng(chunk)
    names = ['a,b', 'c "d"', 'é', '猫', 'e\tf', "g'h"]
    path = tmp_path / 'a.csv'
    with open(path, 'w', newline='', encoding='utf-8-sig') as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
        writer.writerow(['note', 'labels', 'path'])
        for i in range(40):
            labels = [names[k] for k in rng.permutation(6)[: rng.integers(0, 5)]]
            note = rng.choice(['', 'plain', 'two\nlines', 'x,y', '"'])
            writer.writerow([note, '|'.join(labels), f'ordner é/{i},{i}.jpg'])
            if i % 9 == 0:
                file.write(end)
    with open(path, newline='', encoding='utf-8-sig') as file:
        rows = list(csv.DictReader(file, delimiter=delimiter))
    dataset = OwnLabels(str(path), separator='|', path_column='path')
    classes = sorted({label for row in rows for label in row['labels'].split('|') if label})
    assert dataset.metainfo['classes'] == tuple(classes)
    expected = [
        (row['path'], sorted(classes.index(x) for x in row['labels'].split('|') if x))
        for row in rows
    ]
    assert [found[:2] for found in read(dataset)] == expected
    lines = path.read_text(encoding='utf-8-sig').split('\n')
    for name, _, _, entry in read(dataset):
        quoted = [number for number, line in enumerate(lines, 1) if name in line]
        start = quoted[0] - (lines[quoted[0] - 1].startswith('lines"'))
        assert entry == start


@pytest.mark.parametrize('chunk', [3, 65536])
def test_chunks_of_json_lines_and_tables(write, monkeypatch, chunk):
    monkeypatch.setattr(label_csv, 'CHUNK', chunk)
    monkeypatch.setattr(label_files, 'CHUNK', chunk)
    table = np.random.default_rng(0).integers(-1, 2, (10, 4))
    text = 'path,a,b,c,d\n' + ''.join(f'{i},{",".join(map(str, r))}\n' for i, r in enumerate(table))
    rows = [
        {'path': str(i), 'labels': [*'abcd'], 'unknown': []}
        | {'labels': [c for c, v in zip('abcd', r, strict=True) if v == 1]}
        | {'unknown': [c for c, v in zip('abcd', r, strict=True) if v == -1]}
        for i, r in enumerate(table)
    ]
    expected = [(np.flatnonzero(r == 1).tolist(), np.flatnonzero(r == -1).tolist()) for r in table]
    for path in (write('a.csv', text), write('a.jsonl', '\n'.join(map(json.dumps, rows)))):
        assert [found[1:3] for found in read(OwnLabels(path))] == expected


# --- classes


def test_classes_are_given(write, tmp_path):
    path = write('a.csv', 'path,labels\na,cat;dog\nb,cat\n')
    write('classes.txt', b'\xef\xbb\xbfdog\r\n\r\n cat \r\nbird\r\n')
    for classes in (['dog', 'cat', 'bird'], 'classes.txt'):
        dataset = OwnLabels('a.csv', data_root=str(tmp_path), classes=classes)
        assert dataset.metainfo['classes'] == ('dog', 'cat', 'bird')
        assert [found[1] for found in read(dataset)] == [[0, 1], [1]]
    assert read(OwnLabels(path, classes=['dog'], other_classes='drop'))[1][1] == []
    in_order = OwnLabels(write('b.csv', 'path,labels\na,z;b\nb,a\n'), class_order='file')
    assert in_order.metainfo['classes'] == ('z', 'b', 'a')


def test_table_reads_only_the_columns_of_classes(write, monkeypatch):
    messages = logged(monkeypatch)
    path = write('a.csv', 'id,path,a,b\nx,1.jpg,1,0\ny,2.jpg,?,1\n')
    assert [found[1:3] for found in read(OwnLabels(path, classes=['b', 'a']))] == [
        ([1], []),
        ([0], [1]),
    ]
    assert 'columns not used: id' in messages[0]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'classes': ['cats', 'bird']}, r"a.csv: line 2 \(a\) has the class 'cat'.* mean 'cats'\?"),
        ({'classes': ['x']}, r"'cat', which is not in classes: expected one of \['x'\]"),
        ({'classes': ['cat', 'cat', 'dog']}, r"classes hold \['cat'\] more than once"),
        ({'class_order': 'id'}, "class_order='id', expected one of"),
        ({'class_order': 'name', 'classes': ['cat', 'dog']}, 'exclude each other'),
        ({'repeated': 'first'}, "repeated='first', expected one of"),
        ({'other_classes': 'keep'}, "other_classes='keep', expected one of"),
        ({'separator': ''}, "separator=''"),
        ({'shares': {'train': 0.5}}, r"shares=\{'train': 0.5\}, expected numbers .* sum to 1"),
        ({'path_column': 'file'}, r"line 1 is 'path,labels', expected .* 'file'; path_column="),
        ({'label_column': 'tags'}, r"line 2, column 'labels': 'cat', expected 1, 0, or unknown"),
        ({'split': 'dev'}, r"no column 'split', and split='dev' is not in shares"),
        ({'filter_cfg': {'x': 1}}, 'takes no filter_cfg'),
    ],
)
def test_wrong_options(write, options, message):
    with pytest.raises(ValueError, match=message):
        OwnLabels(write('a.csv', 'path,labels\na,cat\nb,dog\n'), **options)


def test_wrong_class_files(write, tmp_path):
    path = write('a.csv', 'path,labels\na,cat\n')
    with pytest.raises(FileNotFoundError, match="classes: no file '.*none.txt'"):
        OwnLabels(path, classes=str(tmp_path / 'none.txt'))
    with pytest.raises(ValueError, match='classes: .*empty.txt holds no name'):
        OwnLabels(path, classes=write('empty.txt', '\n \n'))
    with pytest.raises(TypeError, match='classes hold 7, expected names'):
        OwnLabels(path, classes=[7])


# --- content that is wrong


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.csv', '', 'a.csv is empty, expected a header'),
        ('a.csv', '\npath,labels\n', 'a.csv starts with an empty line'),
        ('a.csv', 'path,labels\n', 'a.csv lists no image'),
        ('a.csv', 'path,labels,labels\n', r"line 1 names the columns \['labels'\] more than once"),
        ('a.csv', 'path\na\n', "neither the column 'labels' nor a column per class"),
        ('a.csv', 'path,a,\nx,1,1\n', 'line 1: column 3 has no name'),
        ('a.csv', 'path,labels\na,x\n\nb,x,y\n', r"line 4 has 3 fields, \['b', 'x', 'y'\]"),
        ('a.csv', 'path,labels\n ,x\n', 'line 2: the path is empty'),
        ('a.csv', 'path,labels\na,x\nb,"x\nc,y\n', 'a.csv: line 4: unexpected end of data'),
        ('a.csv', 'path,labels\n"a"b,x\n', 'a.csv: line 2: .* expected after'),
        ('a.csv', b'path,labels\na,x\nb,\xe9t\xe9\n', r"line 3 holds the byte b'\\xe9', .*UTF-8"),
        ('a.csv', 'path,labels\na,x\nb,x\na,y\n', r"line 4 repeats the image 'a' of line 2 \(1 "),
        ('a.csv', 'path,labels\na,\n', 'a.csv names no classes: give classes'),
        (
            'a.csv',
            'path,labels,unknown\na,x,\nb,x;y,z;y\n',
            r"line 3 \(b\) gives 'y' as a label an",
        ),
        ('a.csv', 'path,a,b\nx,1,0\ny,1,2\n', r"line 3, column 'b': '2', expected 1, 0, or unkn"),
        ('a.jsonl', '{"path": "a", "labels": []}\n{"pa', 'a.jsonl: line 2 is not JSON'),
        ('a.jsonl', '["a"]', r"a.jsonl: line 1 is \['a'\], expected an object"),
        ('a.jsonl', '{"labels": []}', r"line 1 has no field 'path', only \['labels'\]"),
        ('a.jsonl', '{"path": "a"}', r"line 1 has no field 'labels', only \['path'\]"),
        ('a.jsonl', '{"path": 3, "labels": []}', 'line 1: path is 3, expected text'),
        ('a.jsonl', '{"path": "a", "labels": "x"}', "line 1: labels is 'x', expected a list"),
        ('a.jsonl', '\n{"path": "a", "labels": [1]}', 'line 2: labels holds 1, expected text'),
        (
            'a.jsonl',
            '{"path":"a","labels":[],"split":"x"}\n{"path":"b","labels":[]}',
            '2 has no fi',
        ),
        ('a.jsonl', '{"path":"a","labels":[]}\n{"path":"b","labels":[],"split":"x"}', 'line 2 has'),
        ('a.json', '{}', 'a.json: expected a file .csv, .tsv, .txt, .jsonl or .ndjson'),
    ],
)
def test_wrong_content(write, name, content, message):
    with pytest.raises(ValueError, match=message):
        OwnLabels(write(name, content))


def test_classes_that_a_table_lacks(write):
    with pytest.raises(ValueError, match=r"no column \['c'\], asked for in classes, and no column"):
        OwnLabels(write('a.csv', 'path,a,b\nx,1,0\n'), classes=['a', 'c'])


def test_list_of_another_separator_is_warned_of(write, monkeypatch):
    warnings: list[str] = []
    monkeypatch.setattr(vocabulary, 'warn', warnings.append)
    OwnLabels(write('a.csv', 'path,labels\na,cat|dog\n'))
    assert "the class 'cat|dog' looks like a list of labels; separator is ';'" in warnings[0]


def test_nothing_is_left_out_silently(write, monkeypatch):
    messages = logged(monkeypatch)
    path = write(
        'a.csv', 'path,labels,id,split\na,x;x; x;,1,train\nb,,2,train\nc,y,3,\nd,z,4,val\n'
    )
    dataset = OwnLabels(path, classes=['x', 'y'], other_classes='drop', split='train')
    assert read(dataset) == [('a', [0], [], 2), ('b', [], [], 3)]
    for part in ('2 images, 2 classes, 1 labels', '1 images without any label', '2 labels given '
                 'twice', '1 labels of other classes left out', "2 of 4 are 'train'",
                 '1 rows are in no split', 'columns not used: id'):  # fmt: skip
        assert part in messages[0], part


# --- repeated images


def test_rows_of_one_image_are_merged(write):
    """One row per label; present wins over unknown, unknown over absent."""
    path = write('a.csv', 'path,a,b,c\nx,1,?,0\ny,0,0,1\nx,?,1,?\nx,0,0,0\n')
    dataset = OwnLabels(path, repeated='merge')
    assert read(dataset) == [('x', [0, 1], [2], 2), ('y', [2], [], 3)]
    split = write('b.csv', 'path,labels,split\nx,a,train\nx,b,test\n')
    with pytest.raises(ValueError, match="line 3 repeats the image 'x' of line 2 in another split"):
        OwnLabels(split, repeated='merge')


# --- splits


def test_split_column(write):
    path = write('a.csv', 'path,labels,split\na,x,train\nb,y,val\nc,z,train\n')
    dataset = OwnLabels(path, split='train')
    assert dataset.metainfo == {'classes': ('x', 'y', 'z')}  # the same for all splits
    assert read(dataset) == [('a', [0], [], 2), ('c', [2], [], 4)]
    assert len(OwnLabels(path)) == 3
    message = r"no row has 'test' in the column 'split', there are \['train', 'val'\]"
    with pytest.raises(ValueError, match=message):
        OwnLabels(path, split='test')


def test_random_splits_are_disjoint_stable_and_of_their_shares(write):
    rows = [f'{i}.jpg,a' for i in range(4000)]
    parts = [OwnLabels(write('a.csv', '\n'.join(['path,labels', *rows])), split=s)
             for s in ('train', 'val', 'test')]  # fmt: skip
    names = [{found[0] for found in read(part)} for part in parts]
    assert sum(map(len, names)) == 4000 and len(set.union(*names)) == 4000
    # Standard deviation of a share of 0.15 in 4,000 draws: 0.0056.
    np.testing.assert_allclose([len(n) / 4000 for n in names], [0.7, 0.15, 0.15], atol=0.025)
    more = [f'new {i}.jpg,b' for i in range(500)]
    grown = OwnLabels(write('b.csv', '\n'.join(['path,labels', *more, *rows[::-1]])), split='train')
    assert {found[0] for found in read(grown)} >= names[0]
    half = OwnLabels(write('c.csv', '\n'.join(['path,labels', *rows])), split='b',
                     shares={'a': 0.5, 'b': 0.5})  # fmt: skip
    assert 1850 < len(half) < 2150
    with pytest.raises(ValueError, match='the split is empty'):
        OwnLabels(write('d.csv', 'path,labels\na,x\n'), split='b', shares={'a': 1, 'b': 0})


# --- what it gives to training


@pytest.fixture
def photos(tmp_path, write) -> str:
    (tmp_path / 'images').mkdir()
    for i in range(6):
        Image.fromarray(np.full((8, 8, 3), 10 * i, np.uint8)).save(tmp_path / f'images/{i}.png')
    rows = ['1,0,?', '0,1,1', '?,?,?', '1,1,0', '0,0,0', '0,?,1']
    return write('a.csv', 'path,a,b,c\n' + ''.join(f'{i}.png,{r}\n' for i, r in enumerate(rows)))


def test_unknown_takes_no_part_in_loss_and_metrics(photos):
    dataset = OwnLabels(photos, data_prefix=str(Path(photos).parent / 'images'), pipeline=PIPELINE)
    samples = [dataset[i]['data_samples'] for i in range(6)]
    targets, valid = stack_targets(samples, 3)
    known = [[1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1], [1, 1, 1], [1, 0, 1]]
    assert valid.int().tolist() == known
    logits = torch.randn(6, 3)
    by_hand = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[valid], targets[valid], reduction='sum'
    )
    loss = MultiLabelBCELoss()(logits, targets, valid)
    torch.testing.assert_close(loss, by_hand / 13)
    results = []
    for flip in (False, True):  # scores of unknown pairs make no difference
        scores = logits.sigmoid()
        scores = torch.where(valid | (not flip), scores, 1 - scores)
        metric = MultiLabelMetric()
        metric.dataset_meta = dataset.metainfo
        for sample, score in zip(samples, scores, strict=True):
            metric.process(None, [sample.clone().set_pred_score(score).to_dict()])
        results.append(metric.evaluate(6))
    assert 'mAP' in results[0] and results[0] == pytest.approx(results[1])


def test_dataloader_workers(photos):
    dataset = OwnLabels(photos, data_prefix=str(Path(photos).parent / 'images'), pipeline=PIPELINE)
    loader = DataLoader(dataset, 3, num_workers=2, collate_fn=pseudo_collate)
    batches = list(loader)
    assert [int(x[0, 0, 0]) for b in batches for x in b['inputs']] == [0, 10, 20, 30, 40, 50]
    found = [s.gt_label.tolist() for b in batches for s in b['data_samples']]
    assert found == [[0], [1, 2], [], [0, 1], [], [2]]


def test_subsets_copies_and_wrappers(photos):
    config = dict(type='mmmlc.OwnLabels', ann_file=photos)
    dataset = DATASETS.build(config)
    labels = [[0], [1, 2], [], [0, 1], [], [2]]
    for other in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert [other.get_cat_ids(i) for i in range(6)] == labels
    for indices, expected in ((2, labels[:2]), (-2, labels[4:]), ([4, -1], [labels[4], labels[5]])):
        for part in (OwnLabels(photos, indices=indices), dataset.get_subset(indices)):
            assert [part.get_data_info(i)['gt_label'] for i in range(len(part))] == expected
    assert dataset.get_subset([5]).get_data_info(0)['entry'] == 7
    hot = [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert dataset.get_gt_labels().tolist() == hot
    assert dataset.get_data_info(-1)['sample_idx'] == 5
    assert len(ClassBalancedDataset(dataset, oversample_thr=1.0)) > 6
    lazy = OwnLabels(photos, lazy_init=True)
    assert lazy.get_cat_ids(1) == [1, 2]
    with pytest.raises(IndexError):
        dataset.get_cat_ids(6)


def test_broken_images_name_the_line(photos, monkeypatch):
    folder = Path(photos).parent / 'images'
    (folder / '2.png').write_bytes(b'')
    options = dict(data_prefix=str(folder), pipeline=PIPELINE)
    with pytest.raises(BrokenImageError, match=r'line 4 of .*a.csv: .*2.png: empty file'):
        OwnLabels(photos, test_mode=True, **options)[2]
    assert OwnLabels(photos, **options)[2]['data_samples'].img_id != '2.png'


def test_missing_paths_name_the_key(photos, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data_prefix\['img_path'\]: no folder"):
        OwnLabels(photos, data_prefix=str(tmp_path / 'none'))
    with pytest.raises(FileNotFoundError, match='ann_file: no file'):
        OwnLabels('none.csv', data_root=str(tmp_path))


def _private(dataset, queue) -> None:
    for i in range(len(dataset)):
        dataset.get_data_info(i)
    queue.put(psutil.Process().memory_full_info().uss)


def _private_of_worker(dataset: OwnLabels) -> int:
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    worker = context.Process(target=_private, args=(dataset, queue))
    worker.start()
    private = queue.get(timeout=600)
    worker.join()
    return private


def test_workers_share_the_table(tmp_path):
    """A worker that reads 60,000 rows of 200 bytes each keeps next to nothing of its own.

    As a list of dicts the same rows are copied into it.
    """
    private = {}
    for rows in (100, 60_000):
        path = tmp_path / f'{rows}.csv'
        lines = (f'{"folder/" * 25}{i}.jpg,a;b\n' for i in range(rows))
        path.write_text('path,labels\n' + ''.join(lines))
        dataset = OwnLabels(str(path))
        private[rows] = _private_of_worker(dataset)
    assert dataset.data_list.paths.values.nbytes > 10e6
    assert private[60_000] - private[100] < 3e6
    dataset.data_list = list(dataset.data_list)
    assert _private_of_worker(dataset) - private[100] > 10e6
