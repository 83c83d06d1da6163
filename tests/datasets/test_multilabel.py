"""What the datasets share, tried on a small COCO JSON of painted images and on a list of labels."""

from __future__ import annotations

import copy
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, pseudo_collate
from PIL import Image
from torch.utils.data import DataLoader

from mmmlc.datasets import multilabel as samples
from mmmlc.datasets.coco import CocoMultiLabel
from mmmlc.datasets.multilabel import MultiLabelDataset
from mmmlc.datasets.transforms import BrokenImageError, LoadImage

LABELS = [[0], [0, 1], [2], [1, 2], [0, 1, 2], [1]]
PIPELINE = [
    {'type': 'mmmlc.LoadImage'},
    {'type': 'mmpretrain.Resize', 'scale': (24, 24), 'backend': 'pillow'},
    {'type': 'mmmlc.PackInputs'},
]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six images whose grey value is ten times their index, and their annotations."""
    (tmp_path / 'images').mkdir()
    images, annotations = [], []
    for index, labels in enumerate(LABELS):
        name = f'{index}.png'
        Image.new('RGB', (32, 16), (10 * index,) * 3).save(tmp_path / 'images' / name)
        images.append({'id': index, 'file_name': name, 'width': 32, 'height': 16})
        annotations += [
            {'image_id': index, 'category_id': label, 'bbox': [0, 0, 8, 8]} for label in labels
        ]
    dataset = {
        'images': images,
        'annotations': [{'id': i, **a} for i, a in enumerate(annotations)],
        'categories': [{'id': i, 'name': name} for i, name in enumerate('abc')],
    }
    (tmp_path / 'a.json').write_text(json.dumps(dataset))
    return tmp_path


@pytest.fixture
def warnings_seen(monkeypatch) -> list[str]:
    seen = []
    monkeypatch.setattr(samples, 'warn', seen.append)
    return seen


def _coco(folder: Path, **kwargs) -> CocoMultiLabel:
    kwargs = {'pipeline': PIPELINE, 'data_prefix': 'images', **kwargs}
    return CocoMultiLabel('a.json', data_root=str(folder), **kwargs)


def _own(tmp_path: Path, labels: list, **kwargs) -> MultiLabelDataset:
    entries = [{'img_path': f'{i}.png', 'gt_label': label} for i, label in enumerate(labels)]
    ann_file = tmp_path / 'own.json'
    ann_file.write_text(json.dumps({'metainfo': {'classes': list('abc')}, 'data_list': entries}))
    return MultiLabelDataset(str(ann_file), data_prefix=str(tmp_path), **kwargs)


def _break(folder: Path, *indices: int) -> None:
    for index in indices:
        (folder / 'images' / f'{index}.png').write_bytes(b'')


# --- labels


def test_labels_sorted_and_unique(tmp_path):
    dataset = _own(tmp_path, [[2, 0, 2], [], [1]])
    assert [dataset.get_cat_ids(i) for i in range(3)] == [[0, 2], [], [1]]
    np.testing.assert_array_equal(dataset.get_gt_labels(), [[1, 0, 1], [0, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize('label', [3, -1, 'a', 1.0, None])
def test_label_outside_the_vocabulary(tmp_path, label):
    message = rf'own.json: entry 1 \(.*1.png\): label {label!r} .* from 0 to 2'
    with pytest.raises(ValueError, match=message):
        _own(tmp_path, [[0], [0, label]])


def test_label_that_is_no_list(tmp_path):
    with pytest.raises(TypeError, match=r'own.json: entry 0 .*gt_label=1, expected a list'):
        _own(tmp_path, [1])


def test_empty_split(tmp_path, folder):
    with pytest.raises(ValueError, match='own.json: no sample left'):
        _own(tmp_path, [])
    for indices in (0, []):
        with pytest.raises(ValueError, match=r'a.json: indices=.* leaves no sample'):
            _coco(folder, indices=indices)


def test_broken_list_of_labels(tmp_path):
    path = tmp_path / 'own.json'
    path.write_text('{"metainfo": {}, "data_li')
    with pytest.raises(ValueError, match='own.json is not JSON, or cut short'):
        MultiLabelDataset(str(path))
    path.write_text('{"metainfo": {}, "data_list": [{"img_path": "a", "gt_label": []}]}')
    with pytest.raises(ValueError, match='own.json names no classes'):
        MultiLabelDataset(str(path))


# --- paths and options


def test_missing_paths_name_the_key(folder):
    for key, kwargs in {
        'data_root': {'data_root': str(folder / 'none')},
        r"data_prefix\['img_path'\]": {'data_root': str(folder), 'data_prefix': 'none'},
        'ann_file': {'data_root': str(folder / 'images')},
    }.items():
        with pytest.raises(FileNotFoundError, match=f'{key}: no f.*{folder.name}'):
            CocoMultiLabel('a.json', **kwargs)


def test_relative_path_says_relative_to_what(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = rf"ann_file: no file 'a.json' \(working directory .*{tmp_path.name}\)"
    with pytest.raises(FileNotFoundError, match=message):
        CocoMultiLabel('a.json')


def test_data_prefix_needs_img_path(folder):
    with pytest.raises(ValueError, match=r"keys \['img'\], needs 'img_path'"):
        _coco(folder, data_prefix={'img': 'images'})


def test_home_is_expanded(folder, monkeypatch):
    monkeypatch.setenv('HOME', str(folder))
    assert len(CocoMultiLabel('a.json', data_root='~', data_prefix='images')) == 6


def test_filter_cfg_is_refused(folder):
    with pytest.raises(ValueError, match='takes no filter_cfg'):
        _coco(folder, filter_cfg={'filter_empty_gt': True})


def test_pipeline_without_boxes_is_refused_before_reading(folder):
    crop = [{'type': 'mmmlc.LoadImage'}, {'type': 'mmpretrain.CenterCrop', 'crop_size': 8}]
    for options in ({}, {'lazy_init': True}):
        with pytest.raises(ValueError, match='pipeline: CenterCrop'):
            _coco(folder / 'none', pipeline=crop, **options)
    dataset = _coco(folder, pipeline=crop, with_boxes=False)
    assert dataset[1]['img'].shape == (8, 8, 3)
    assert not {'boxes', 'box_labels', 'ann_shape'} & set(dataset[1])


# --- broken images


def test_training_takes_another_and_warns_once(folder, warnings_seen):
    dataset = _coco(folder)
    _break(folder, 2)
    for _ in range(3):
        sample = dataset[2]
        assert sample['data_samples'].img_id != 2
    assert len(warnings_seen) == 1
    assert 'entry 2 of' in warnings_seen[0] and '2.png: empty file' in warnings_seen[0]
    _break(folder, 3)
    assert dataset[3]['data_samples'].img_id not in (2, 3)
    assert len(warnings_seen) == 2


def test_entry_is_that_of_the_file_in_a_subset(folder, warnings_seen):
    dataset = _coco(folder, indices=[5, 1])
    _break(folder, 5)
    assert dataset[0]['data_samples'].img_id == 1
    subset = _coco(folder).get_subset([4, 0])
    os.remove(folder / 'images/4.png')
    assert subset[0]['data_samples'].img_id == 0
    assert 'entry 5 of' in warnings_seen[0] and 'entry 4 of' in warnings_seen[1]
    assert '4.png: No such file' in warnings_seen[1]


def test_evaluation_stops_and_names_file_and_entry(folder, warnings_seen):
    dataset = _coco(folder, test_mode=True)
    _break(folder, 2)
    with pytest.raises(BrokenImageError, match=r'entry 2 of .*a.json: .*2.png: empty file'):
        dataset[2]
    assert not warnings_seen
    loader = DataLoader(dataset, num_workers=1, collate_fn=pseudo_collate)
    with pytest.raises(BrokenImageError, match=r'entry 2 of .*a.json: .*2.png: empty file'):
        list(loader)


def test_all_broken_ends_with_a_clear_error(folder, warnings_seen):
    dataset = _coco(folder, max_refetch=20)
    _break(folder, *range(6))
    for _ in range(2):
        message = r'21 images in a row .* data_prefix .*images.* The last: .*png: empty file'
        with pytest.raises(BrokenImageError, match=message):
            dataset[0]
    assert len(warnings_seen) == 6


def test_error_of_another_transform_is_not_hidden(folder):
    dataset = _coco(folder)

    def fail(results):
        raise OSError('disk quota exceeded')

    dataset.pipeline.transforms.insert(1, fail)
    with pytest.raises(OSError, match='disk quota'):
        dataset[0]


def test_workers_of_two_epochs_warn_once(folder, monkeypatch):
    def append(message: str) -> None:
        with open(folder / 'log', 'a') as log:
            log.write(f'{message}\n')

    monkeypatch.setattr(samples, 'warn', append)
    dataset = _coco(folder)
    _break(folder, 2)
    loader = DataLoader(dataset, 2, num_workers=2, collate_fn=pseudo_collate)
    for _ in range(2):
        assert sum(len(batch['inputs']) for batch in loader) == 6
    assert (folder / 'log').read_text().count('2.png: empty file') == 1


# --- mmengine's machinery


@pytest.mark.parametrize(('context', 'workers'), [('fork', 2), ('spawn', 1)])
def test_dataloader_workers(folder, context, workers):
    dataset = _coco(folder)
    loader = DataLoader(
        dataset, 3, num_workers=workers, collate_fn=pseudo_collate, multiprocessing_context=context
    )
    batches = list(loader)
    found = [s for batch in batches for s in batch['data_samples']]
    assert [s.gt_label.tolist() for s in found] == LABELS
    assert [int(x[0, 0, 0]) for batch in batches for x in batch['inputs']] == [
        10 * i for i in range(6)
    ]
    assert found[1].boxes.tolist() == [[0, 0, 0.25, 0.5]] * 2


@pytest.mark.parametrize('serialize', [True, False])
def test_subsets_and_copies(folder, serialize):
    dataset = _coco(folder, serialize_data=serialize)
    for other in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert [other.get_cat_ids(i) for i in range(len(other))] == LABELS
        assert torch.equal(other[1]['data_samples'].boxes, dataset[1]['data_samples'].boxes)
    for indices, expected in ((2, LABELS[:2]), ([4, 0], [LABELS[4], LABELS[0]])):
        limited = _coco(folder, serialize_data=serialize, indices=indices)
        assert [limited.get_cat_ids(i) for i in range(len(limited))] == expected
        assert limited.get_gt_labels().shape == (2, 3)
    assert dataset.get_subset([3])[0]['data_samples'].gt_label.tolist() == LABELS[3]


def test_a_sample_does_not_change_the_dataset(folder):
    dataset = _coco(folder, serialize_data=False)
    dataset.get_data_info(1)['gt_label'].append(2)
    dataset.get_data_info(1)['boxes'][:] = 9
    assert dataset.get_cat_ids(1) == LABELS[1]
    assert dataset.get_data_info(1)['boxes'].max() == 0.5


def test_lazy_init(folder):
    dataset = _coco(folder, lazy_init=True)
    assert dataset.CLASSES is None
    dataset.full_init()
    dataset.full_init()
    assert dataset.metainfo['classes'] == ('a', 'b', 'c') and len(dataset) == 6


def test_class_balanced_wrapper(folder):
    """Class c is in half of the images: at threshold 1 these are repeated ceil(sqrt(2)) times."""
    balanced = ClassBalancedDataset(_coco(folder), oversample_thr=1.0)
    ids = [balanced.get_data_info(i)['img_id'] for i in range(len(balanced))]
    frequency = {label: sum(label in labels for labels in LABELS) / 6 for label in range(3)}
    repeats = [max(int(np.ceil(frequency[label] ** -0.5)) for label in ls) for ls in LABELS]
    assert ids == [i for i, repeat in enumerate(repeats) for _ in range(repeat)]


def test_classes_of_the_file_in_another_order_are_refused(tmp_path):
    """Labels are numbers: a cat would become a dog."""
    content = dict(
        metainfo=dict(classes=['cat', 'dog']), data_list=[dict(img_path='a.jpg', gt_label=[0])]
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    path = str(tmp_path / 'a.json')
    with pytest.raises(ValueError, match=r"a.json: classes is \['cat', 'dog'\], .* another order"):
        MultiLabelDataset(ann_file=path, classes=['dog', 'cat'])
    for classes in (['cat', 'dog'], ['Katze', 'Hund']):  # a translation keeps the numbers
        assert MultiLabelDataset(ann_file=path, classes=classes).metainfo['classes'] == tuple(
            classes
        )


def test_paths_reach_the_terminal_in_one_line(tmp_path):
    content = dict(
        metainfo=dict(classes=['cat']), data_list=[dict(img_path='\x1b[31ma.jpg', gt_label=[3])]
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match='label 3 is outside') as error:
        MultiLabelDataset(ann_file=str(tmp_path / 'a.json'))[0]
    assert '\x1b' not in str(error.value) and r'\x1b[31ma.jpg' in str(error.value)
    with pytest.raises(BrokenImageError) as broken:
        LoadImage()({'img_path': 'no\n\x1b[31m.jpg'})
    assert str(broken.value).isprintable()
