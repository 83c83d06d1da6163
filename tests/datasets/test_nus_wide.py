"""NUS-WIDE in a small tree of the original layout, and the time to read one of full size."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from mmmlc.datasets import nus_wide
from mmmlc.datasets.nus_wide import NUSWIDE

CONCEPTS = ['airport', 'cat', 'sky']
TABLES = {
    'Train': np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 1]]),
    'Test': np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0]]),
}
PATHS = {
    part: [f'{CONCEPTS[i % 3]}/{part[:2]}{i}_77.jpg' for i in range(len(table))]
    for part, table in TABLES.items()
}


def write_tree(root: Path, tables: dict, paths: dict, concepts: list[str], end: str = '\n') -> None:
    labels = root / 'Groundtruth/TrainTestLabels'
    for folder in (labels, root / 'ImageList', root / 'ConceptsList', root / 'Flickr'):
        folder.mkdir(parents=True, exist_ok=True)
    (root / 'ConceptsList/Concepts81.txt').write_text(end.join(concepts) + end)
    for part, table in tables.items():
        lines = [path.replace('/', '\\') for path in paths[part]]
        (root / f'ImageList/{part}Imagelist.txt').write_bytes((end.join(lines) + end).encode())
        for concept, column in zip(concepts, table.T, strict=True):
            text = end.join(map(str, column)) + end
            (labels / f'Labels_{concept}_{part}.txt').write_bytes(text.encode())


@pytest.fixture
def tree(tmp_path) -> Path:
    write_tree(tmp_path, TABLES, PATHS, CONCEPTS)
    return tmp_path


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    """What is logged."""
    seen = []
    monkeypatch.setattr(nus_wide, 'print_log', lambda message, **_: seen.append(message))
    return seen


def _ids(dataset: NUSWIDE) -> list[str]:
    return [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]


# --- what is read


@pytest.mark.parametrize('part', ['Train', 'Test'])
@pytest.mark.parametrize('keep', [False, True])
@pytest.mark.parametrize('end', ['\n', '\r\n', ' \n'])
def test_labels_of_both_parts(tmp_path, part, keep, end):
    write_tree(tmp_path, TABLES, PATHS, CONCEPTS, end)
    dataset = NUSWIDE(str(tmp_path), part.lower(), keep_unlabelled=keep)
    chosen = [keep or row.any() for row in TABLES[part]]
    np.testing.assert_array_equal(dataset.get_gt_labels(), TABLES[part][chosen])
    kept = [path for path, choice in zip(PATHS[part], chosen, strict=True) if choice]
    assert _ids(dataset) == kept
    info = dataset.get_data_info(0)
    assert info['img_path'] == str(tmp_path / 'Flickr' / kept[0])
    assert dataset.metainfo['classes'] == tuple(CONCEPTS)


def test_last_line_without_an_end(tree):
    for path in tree.rglob('*.txt'):
        path.write_text(path.read_text().rstrip())
    np.testing.assert_array_equal(
        NUSWIDE(str(tree), 'test', keep_unlabelled=True).get_gt_labels(), TABLES['Test']
    )


def test_counts_are_logged(tree, lines):
    NUSWIDE(str(tree), 'train')
    NUSWIDE(str(tree), 'test', keep_unlabelled=True)
    expected = '4 images, 3 with labels, 1 without any label dropped; 4 labels of 3 concepts'
    assert lines[0] == f'{tree}/ImageList/TrainImagelist.txt: {expected}'
    expected = '3 images, 2 with labels, 1 without any label kept; 4 labels of 3 concepts'
    assert lines[1] == f'{tree}/ImageList/TestImagelist.txt: {expected}'


def test_own_list_takes_images_of_both_parts(tree, lines):
    chosen = [PATHS['Test'][1], PATHS['Train'][1], PATHS['Train'][3]]
    (tree / 'own.txt').write_text('\n'.join([chosen[0].replace('/', '\\'), *chosen[1:]]))
    dataset = NUSWIDE(str(tree), image_list='own.txt', keep_unlabelled=True)
    assert _ids(dataset) == chosen
    np.testing.assert_array_equal(dataset.get_gt_labels(), [[1, 1, 1], [0, 0, 0], [0, 0, 1]])
    assert '3 images, 2 with labels' in lines[0] and 'own.txt' in lines[0]


def test_part_of_the_concepts(tree):
    dataset = NUSWIDE(str(tree), 'train', classes=['sky', 'airport'])
    np.testing.assert_array_equal(dataset.get_gt_labels(), [[1, 1], [1, 0]])
    assert dataset.metainfo['classes'] == ('sky', 'airport')


@pytest.mark.parametrize('scope', [None, 'mmpretrain'])
def test_built_from_a_config_with_crops(tree, scope):
    """There are no boxes, so that any transform may be used."""
    (tree / 'Flickr/airport').mkdir()
    Image.new('RGB', (40, 20)).save(tree / 'Flickr' / PATHS['Train'][0])
    crop = {'type': 'mmpretrain.RandomCrop', 'crop_size': 16}
    pipeline = [{'type': 'mmmlc.LoadImage'}, crop, {'type': 'mmmlc.PackInputs'}]
    config = {'type': 'mmmlc.NUSWIDE', 'data_root': str(tree), 'split': 'train'}
    with DefaultScope.overwrite_default_scope(scope):
        dataset = DATASETS.build(config | {'pipeline': pipeline})
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 16, 16)
    assert sample['data_samples'].gt_label.tolist() == [0, 2]
    assert sample['data_samples'].img_id == PATHS['Train'][0]


def test_division_of_the_documentation(tree, root, monkeypatch, capsys):
    """The snippet of docs/data.md that draws 150,000 training images, here 3 of 5."""
    page = (root / 'docs/data.md').read_text()
    (code,) = re.findall(r"python - <<'EOF'\n(.*?NUSWIDE.*?)\nEOF\n", page, re.DOTALL)
    code = code.replace('150_000', '3').replace("'data/nus_wide'", repr(str(tree)))
    exec(code, {})
    drawn = [_ids(NUSWIDE(str(tree), image_list=f'{name}_list.txt')) for name in ('train', 'test')]
    labelled = [
        path for part in PATHS for path, row in zip(PATHS[part], TABLES[part], strict=True)
        if row.any()
    ]  # fmt: skip
    assert [len(ids) for ids in drawn] == [3, 2]
    assert sorted(drawn[0] + drawn[1]) == sorted(labelled)


def test_full_size(tmp_path):
    """161,789 images and 81 concepts, as the training list has."""
    rng = np.random.default_rng(0)
    table = (rng.random((161_789, 81)) < 0.023).astype(np.uint8)
    concepts = [f'concept{i}' for i in range(81)]
    paths = [f'concept{i % 81}/{i:06d}_2124494179.jpg' for i in range(len(table))]
    write_tree(tmp_path, {}, {}, concepts)
    lines = '\r\n'.join(path.replace('/', '\\') for path in paths)
    (tmp_path / 'ImageList/TrainImagelist.txt').write_text(lines)
    labels = tmp_path / 'Groundtruth/TrainTestLabels'
    for concept, column in zip(concepts, table.T, strict=True):
        text = np.full((len(table), 2), ord('\n'), dtype=np.uint8)
        text[:, 0] = column + ord('0')
        (labels / f'Labels_{concept}_Train.txt').write_bytes(text.tobytes())
    dataset = NUSWIDE(str(tmp_path), 'train')
    assert len(dataset) == table.any(axis=1).sum()
    for i in (0, 1000, len(dataset) - 1):
        info = dataset.get_data_info(i)
        row = int(info['img_id'].split('/')[1].split('_')[0])
        assert info['gt_label'] == np.flatnonzero(table[row]).tolist()


# --- errors


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('Labels_cat_Train', '0\n0\n1\n', r'cat_Train.txt has 3 lines, .*TrainImagelist.txt has 4'),
        ('Labels_cat_Train', '0\n0\n1\n0\n0\n', 'cat_Train.txt has 5 lines'),
        ('Labels_cat_Train', '', 'cat_Train.txt has 0 lines'),
        ('Labels_cat_Train', '0\n0\n2\n0\n', r"cat_Train.txt: line 3 is '2', expected 0 or 1"),
        ('Labels_cat_Train', '0\n\n1\n0\n', "cat_Train.txt: line 2 is '', expected 0 or 1"),
        ('Labels_cat_Train', '0\n01\n0\n', "cat_Train.txt: line 2 is '01', expected 0 or 1"),
        ('Labels_cat_Train', '0 0 1 0 ', "cat_Train.txt: line 1 is '0 0 1 0', expected"),
    ],
)
def test_wrong_label_file(tree, name, content, message):
    (tree / f'Groundtruth/TrainTestLabels/{name}.txt').write_text(content)
    with pytest.raises(ValueError, match=message):
        NUSWIDE(str(tree), 'train')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('ImageList/TrainImagelist', 'a\\1.jpg\n\nb\\2.jpg\nc\\3.jpg', 'list.txt: line 2 is empty'),
        ('ImageList/TrainImagelist', 'a\\1.jpg\nb.jpg\na/1.jpg\nc', 'line 3 repeats line 1, .a/1'),
        ('ConceptsList/Concepts81', 'cat\nsky\ncat\n', "81.txt: line 3 repeats line 1, 'cat'"),
    ],
)
def test_wrong_list(tree, name, content, message):
    (tree / f'{name}.txt').write_text(content)
    with pytest.raises(ValueError, match=message):
        NUSWIDE(str(tree), 'train')


def test_own_list_with_an_unknown_image(tree):
    (tree / 'own.txt').write_text(f'{PATHS["Test"][1]}\nsky/none.jpg\n')
    with pytest.raises(ValueError, match=r"own.txt: line 2: the authors' lists have no 'sky/none"):
        NUSWIDE(str(tree), image_list='own.txt')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('ImageList/TrainImagelist.txt', 'split or image_list: no file .*TrainImagelist.txt'),
        ('ConceptsList/Concepts81.txt', 'no file .*Concepts81.txt'),
        ('Groundtruth/TrainTestLabels/Labels_sky_Train.txt', 'no file .*Labels_sky_Train.txt'),
    ],
)
def test_missing_files(tree, name, message):
    (tree / name).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        NUSWIDE(str(tree), 'train')


def test_missing_images(tree):
    (tree / 'Flickr').rmdir()
    with pytest.raises(FileNotFoundError, match=r"data_prefix\['img_path'\]: no folder .*Flickr"):
        NUSWIDE(str(tree), 'train')


def test_wrong_options(tree):
    for options in ({}, {'split': 'val'}, {'split': 'train', 'image_list': 'own.txt'}):
        with pytest.raises(ValueError, match='expected one of them, split being one of'):
            NUSWIDE(str(tree), **options)
    with pytest.raises(ValueError, match=r"no concept \['dog'\], asked for in classes"):
        NUSWIDE(str(tree), 'train', classes=['dog', 'cat'])
    with pytest.raises(ValueError, match='classes hold .* more than once'):
        NUSWIDE(str(tree), 'train', classes=['cat', 'cat'])
    (tree / 'Groundtruth/TrainTestLabels/Labels_cat_Train.txt').write_text('0\n' * 4)
    with pytest.raises(ValueError, match='TrainImagelist.txt: no sample left'):
        NUSWIDE(str(tree), 'train', classes=['cat'])
