"""LoadProposals, and that boxes stay on what they mark through resizes, crops and flips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.small_data import write_coco
from mmengine.registry import TRANSFORMS
from PIL import Image

from mmmlc.datasets.coco import CocoMultiLabel
from mmmlc.datasets.transforms import PackInputs
from mmmlc.proposals.loading import LoadProposals
from mmmlc.proposals.store import ImageProposals, encode, write_store

WIDTH, HEIGHT = 200, 120
LOAD = dict(type='mmmlc.LoadImage')
# x1, y1, x2, y2 in pixels; the marker's corners are not symmetric in any flip
BOX = np.array([40, 20, 130, 90])


def write(path, images: dict) -> str:
    """A store of (boxes as fractions, scores) by image name."""
    sizes = [ImageProposals(name, WIDTH, HEIGHT, len(b[1])) for name, b in images.items()]
    write_store(path, 'train', sizes, [encode(*b) for b in images.values()], {})
    return str(path)


@pytest.fixture
def file(tmp_path) -> str:
    boxes = np.array([[0.1, 0.1, 0.2, 0.2], [0.3, 0.3, 0.9, 0.9], [0, 0, 0.5, 1]])
    images = {
        'three.png': (boxes, np.array([0.25, 0.75, 0.5])),
        'none.png': (np.zeros((0, 4)), np.zeros(0)),
    }
    return write(tmp_path / 'x.prop', images)


def load(file, name='three.png', **options) -> dict:
    return LoadProposals(file, **options)({'img_path': f'data/train/{name}'})


def test_best_first(file):
    results = load(file, topk=2)
    expected = [[0.3, 0.3, 0.9, 0.9], [0, 0, 0.5, 1]]
    np.testing.assert_allclose(results['proposals'], expected, atol=1e-5)
    assert results['proposal_scores'].tolist() == [0.75, 0.5]
    types = [results[k].dtype for k in ('proposals', 'proposal_scores', 'proposal_valid')]
    assert types == [np.float32, np.float32, bool]


def test_recycled(file):
    results = load(file, topk=7)
    assert results['proposal_scores'].tolist() == [0.75, 0.5, 0.25, 0.75, 0.5, 0.25, 0.75]
    np.testing.assert_array_equal(results['proposals'][3:6], results['proposals'][:3])
    assert results['proposal_valid'].all()


def test_padded(file):
    results = load(file, topk=5, fill='pad')
    assert results['proposal_scores'].tolist() == [0.75, 0.5, 0.25, 0, 0]
    assert results['proposal_valid'].tolist() == [True] * 3 + [False] * 2
    assert not results['proposals'][3:].any()


@pytest.mark.parametrize('fill', ['recycle', 'pad'])
def test_image_without_proposals_is_one_itself(file, fill):
    results = load(file, 'none.png', topk=3, fill=fill)
    assert results['proposals'][0].tolist() == [0, 0, 1, 1]
    assert results['proposal_scores'][0] == 1
    assert results['proposal_valid'].tolist() == [True] + [fill == 'recycle'] * 2


def test_errors(file, tmp_path):
    with pytest.raises(ValueError, match='x.prop has no proposals for data/train/z.png: no image'):
        load(file, 'z.png')
    with pytest.raises(ValueError, match="x.prop .* data/val/three.png: .*folder 'train'"):
        LoadProposals(file)({'img_path': 'data/val/three.png'})
    assert len(LoadProposals(file, img_prefix='data/val')({'img_path': 'data/val/three.png'})) == 4
    with pytest.raises(ValueError, match="fill is 'repeat', expected one of 'recycle', 'pad'"):
        LoadProposals(file, fill='repeat')
    with pytest.raises(ValueError, match='topk=0'):
        LoadProposals(file, topk=0)
    with pytest.raises(FileNotFoundError, match='no.prop: no such proposals file'):
        LoadProposals(str(tmp_path / 'no.prop'))


def test_other_proportions_are_refused(file):
    step = LoadProposals(file)
    step({'img_path': 'train/three.png', 'ori_shape': (60, 100)})
    with pytest.raises(ValueError, match='three.png is 120 x 200, but 200 x 120 in .*x.prop'):
        step({'img_path': 'train/three.png', 'ori_shape': (200, 120)})


def test_packed(file):
    results = load(file, topk=4) | {'img': np.zeros((4, 6, 3), np.uint8)}
    sample = PackInputs()(results)['data_samples']
    assert torch.equal(sample.proposals, torch.from_numpy(results['proposals']))
    assert sample.proposal_scores.dtype == torch.float32
    assert sample.proposal_valid.dtype == torch.bool


# --- boxes stay on what they mark


@pytest.fixture
def painted(tmp_path) -> dict:
    """A dark image with a bright box, as sample with this box and this proposal."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    path = tmp_path / 'train' / 'a.png'
    path.parent.mkdir()
    Image.fromarray(pixels).save(path)
    fractions = BOX / np.array([WIDTH, HEIGHT] * 2)
    outside = np.array([0.95, 0.95, 1, 1])
    boxes = np.stack([fractions, outside])
    file = write(tmp_path / 'p.prop', {'a.png': (boxes, np.array([0.5, 0.25]))})
    return {
        'file': file,
        'sample': {
            'img_path': str(path),
            'boxes': fractions[None].astype(np.float32),
            'box_labels': np.array([3]),
            'box_crowd': np.array([False]),
            'box_areas': np.array([6300], np.float32),
            'gt_label': [3],
        },
    }


def run(painted: dict, *steps: dict) -> dict:
    proposals = dict(type='mmmlc.LoadProposals', file=painted['file'], topk=3, fill='pad')
    results = dict(painted['sample'])
    for step in (LOAD, proposals, *steps):
        results = TRANSFORMS.build(step)(results)
    return results


def bright(image: np.ndarray) -> list[int]:
    """x1, y1, x2, y2 of what is bright."""
    rows, columns = np.nonzero(image[..., 0] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


FLIPS = [dict(type='mmmlc.RandomFlip', prob=1.0, direction=d) for d in ('horizontal', 'vertical')]
DIAGONAL = dict(type='mmmlc.RandomFlip', prob=1.0, direction='diagonal')
RESIZE = dict(type='mmpretrain.Resize', scale=(300, 90))
EDGE = dict(type='mmpretrain.ResizeEdge', scale=240)
CENTER = dict(type='mmmlc.CenterCrop', crop_size=(120, 80))
WIDE = dict(type='mmmlc.CenterCrop', crop_size=(4000, 60))
RANDOM = dict(type='mmmlc.RandomCrop', crop_size=(100, 150))
RESIZED = dict(type='mmmlc.RandomResizedCrop', scale=(160, 220), crop_ratio_range=(0.6, 0.9))


@pytest.mark.parametrize(
    'steps',
    [
        [RESIZE],
        [EDGE],
        [FLIPS[0]],
        [FLIPS[1]],
        [DIAGONAL],
        [CENTER],
        [WIDE],
        [RANDOM],
        [RESIZED],
        [FLIPS[0], RANDOM, RESIZE, DIAGONAL],
        [RESIZE, CENTER, FLIPS[1], RANDOM],
        [RESIZED, FLIPS[0], CENTER, EDGE],
    ],
    ids=lambda steps: '-'.join(s['type'].split('.')[1] for s in steps),
)
def test_box_stays_on_what_is_painted(painted, steps):
    for seed in range(5):
        np.random.seed(seed)
        results = run(painted, *steps)
        height, width = results['img'].shape[:2]
        assert tuple(results['img_shape'][:2]) == (height, width)
        expected = bright(results['img'])
        for key in ('boxes', 'proposals'):
            assert results[key].dtype == np.float32
            found = results[key][0] * [width, height, width, height]
            np.testing.assert_allclose(found, expected, atol=1.5, err_msg=key)
        assert results['proposal_valid'][0]
        assert results['proposals'].shape == (3, 4)


def test_crop_sizes(painted):
    assert run(painted, CENTER)['img'].shape == (80, 120, 3)
    assert run(painted, WIDE)['img'].shape == (60, 200, 3)
    assert run(painted, RANDOM)['img'].shape == (100, 150, 3)
    assert run(painted, RESIZED)['img'].shape == (160, 220, 3)


def test_what_is_outside_a_crop(painted):
    """The middle 40 x 20 lies inside the box; the second proposal is outside."""
    painted['sample'].update(
        boxes=np.array([[0.9, 0.9, 1, 1], *painted['sample']['boxes']], np.float32),
        box_labels=np.array([5, 3]),
        box_crowd=np.array([True, False]),
        box_areas=np.array([1, 6300], np.float32),
        gt_label=[3, 5],
    )
    results = run(painted, dict(type='mmmlc.CenterCrop', crop_size=(40, 20)))
    assert results['boxes'].tolist() == [[0, 0, 1, 1]]
    assert results['box_labels'].tolist() == [3] and results['box_crowd'].tolist() == [False]
    assert results['box_areas'].tolist() == [6300]
    assert results['gt_label'] == [3, 5]
    assert results['proposals'].tolist() == [[0, 0, 1, 1], [0] * 4, [0] * 4]
    assert results['proposal_valid'].tolist() == [True, False, False]
    assert results['proposal_scores'].tolist() == [0.5, 0, 0]


def test_crop_without_any_proposal_left(painted):
    boxes = np.array([[0, 0, 0.1, 0.1]])
    painted['file'] = write(painted['file'], {'a.png': (boxes, np.array([0.5]))})
    results = run(painted, dict(type='mmmlc.CenterCrop', crop_size=40))
    assert results['proposals'][0].tolist() == [0, 0, 1, 1]
    assert results['proposal_valid'].tolist() == [True, False, False]
    assert results['proposal_scores'].tolist() == [1, 0, 0]


def test_box_that_touches_a_crop_is_outside(painted):
    painted['sample']['boxes'] = np.array([[0, 0, 80 / 200, 1]], np.float32)
    results = run(painted, dict(type='mmmlc.CenterCrop', crop_size=(40, 20)))  # from pixel 80 on
    assert results['boxes'].shape == (0, 4) and results['box_labels'].shape == (0,)


# --- the data set refuses pipelines that lose proposals


def dataset(painted, tmp_path, *steps, **options) -> CocoMultiLabel:
    config = type('Options', (), {})()
    config.data_prefix = type('Prefix', (), {'img_path': 'train'})()
    config.ann_file = 'ann.json'
    write_coco(tmp_path, config, ['a', 'b', 'c'], images=2)
    return CocoMultiLabel(
        data_root=str(tmp_path), ann_file='ann.json', data_prefix=dict(img_path='train'),
        pipeline=list(steps), **options,
    )  # fmt: skip


def test_pipelines_that_lose_proposals_are_refused(painted, tmp_path):
    proposals = dict(type='mmmlc.LoadProposals', file=painted['file'])
    lost = dict(type='mmpretrain.RandomResizedCrop', scale=8)
    for with_boxes in (True, False):
        with pytest.raises(ValueError, match='pipeline: RandomResizedCrop .* no LoadProposals'):
            dataset(painted, tmp_path, LOAD, proposals, lost, with_boxes=with_boxes)
        for early in (lost, FLIPS[0], RANDOM):
            with pytest.raises(ValueError, match='before LoadProposals.*put LoadProposals first'):
                dataset(painted, tmp_path, early, proposals, with_boxes=with_boxes)
        dataset(painted, tmp_path, LOAD, RESIZE, proposals, RANDOM, FLIPS[0], with_boxes=with_boxes)
    dataset(painted, tmp_path, LOAD, lost, with_boxes=False)
