"""ToyScenes: drawing against naive repainting, files against pycocotools, and the tool's errors."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from itertools import combinations

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmmlc.toy_scenes import scenes
from mmmlc.toy_scenes.scenes import COMPANIONS, MIN_SIZE, draw_scene
from mmmlc.toy_scenes.shapes import CLASSES, PARTS, object_shapes, part_shapes

NAMES = [toy.name for toy in CLASSES]
SMALL = {'train': 10, 'val': 6, 'size': 48, 'seed': 3}


@pytest.fixture(scope='module')
def tool(root):
    """tools/make_toy_scenes.py as a module."""
    spec = importlib.util.spec_from_file_location(
        'make_toy_scenes', root / 'tools' / 'make_toy_scenes.py'
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope='module')
def folder(tool, tmp_path_factory):
    """A finished data set, drawn by one process."""
    out = tmp_path_factory.mktemp('toys') / 'set'
    assert tool.make_toy_scenes(out, **SMALL, workers=1)
    return out


@pytest.fixture(scope='module')
def many():
    """Objects of 600 training images."""
    return [draw_scene(0, 'train', index, 48)[1] for index in range(600)]


def contents(out):
    return {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob('*')) if p.is_file()}


# ---- drawing


def test_a_scene_depends_on_its_arguments_only():
    first, objects = draw_scene(5, 'val', 7, 64)
    draw_scene(5, 'val', 8, 64)
    again, same_objects = draw_scene(5, 'val', 7, 64)
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again) and objects == same_objects
    for other in ((6, 'val', 7), (5, 'train', 7), (5, 'val', 8)):
        assert not np.array_equal(first, draw_scene(*other, 64)[0])


@pytest.mark.parametrize('index', range(8))
def test_box_and_area_of_a_lone_object_are_those_of_its_painted_pixels(monkeypatch, index):
    # A green plain, a colour that no body has, without clutter and shadow.
    plain = (0, 255, 0)
    monkeypatch.setattr(scenes, 'OBJECT_COUNTS', (1.0,))
    monkeypatch.setattr(
        scenes, 'draw_background', lambda rng, scene, side: np.full((side, side, 3), plain, 'u1')
    )
    monkeypatch.setattr(scenes, '_clutter', lambda canvas, rng, placed: None)
    monkeypatch.setattr(scenes, '_shade', lambda canvas, placed: canvas)
    image, (item,) = draw_scene(1, 'train', index, 160)
    touched = (image != plain).any(2)
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    x, y, w, h = item.bbox
    assert (np.floor(x), np.floor(y)) == (columns[0], rows[0])
    assert (np.ceil(x + w), np.ceil(y + h)) == (columns[-1] + 1, rows[-1] + 1)
    # Pixels on the outline are painted in part only.
    inner = cv2.erode(touched.astype('u1'), np.ones((3, 3)), borderValue=1).sum()
    assert inner < item.area <= touched.sum()
    assert item.visible == 1


def test_boxes_lie_inside_the_image_and_objects_are_visible_enough(many):
    for item in (item for objects in many for item in objects):
        x, y, w, h = item.bbox
        assert x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 48 and y + h <= 48
        assert 0 < item.area <= w * h
        assert scenes.MIN_VISIBLE <= item.visible <= 1
    assert min(item.visible for objects in many for item in objects) < 0.7  # there is occlusion


def test_visible_is_what_later_objects_leave_of_the_pixels():
    index = next(
        i for i in range(99) if any(o.visible < 0.8 for o in draw_scene(0, 'val', i, 48)[1])
    )
    objects = draw_scene(0, 'val', index, 48)[1]
    rng = np.random.default_rng([0, 1, index])
    scene = scenes._sample_scene(rng)
    side = 48 * scenes.SUPERSAMPLE
    owner = np.zeros((side, side), np.uint8)
    totals = []
    for number, item in enumerate(scenes._compose(rng, scene, side), 1):
        alone = np.zeros_like(owner)
        for points, _ in item.polygons:
            cv2.fillPoly(alone, [points], 1)
            cv2.fillPoly(owner, [points], number)
        totals.append(alone.sum())
    expected = [(owner == n).sum() / total for n, total in enumerate(totals, 1)]
    assert [item.visible for item in objects] == pytest.approx(expected, abs=1e-4)


def test_classes_are_bodies_with_shared_parts():
    assert len({(toy.body, toy.part) for toy in CLASSES}) == len(set(NAMES)) == 20
    assert set(Counter(toy.body for toy in CLASSES).values()) == {4}
    counts = Counter(toy.part for toy in CLASSES)
    assert set(counts) == set(PARTS) and min(counts.values()) >= 3


@pytest.mark.parametrize('label', range(20), ids=NAMES)
def test_the_part_keeps_four_pixels_on_the_smallest_object(label):
    shapes = object_shapes(label)
    everything = np.concatenate([shape.points for shape in shapes])
    assert np.ptp(everything, axis=0).max() == pytest.approx(1)
    part = np.concatenate([shape.points for shape in shapes if shape.part])
    assert np.ptp(part, axis=0).max() * MIN_SIZE * 96 >= 4


def test_unknown_part_and_split_and_size():
    with pytest.raises(ValueError, match="part 'horn': expected one of"):
        part_shapes('horn')
    with pytest.raises(ValueError, match="split 'test': expected one of .*train"):
        draw_scene(0, 'test', 0, 96)
    with pytest.raises(ValueError, match='size 0: expected'):
        draw_scene(0, 'val', 0, 0)


def test_drawing_needs_no_torch(root):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['mmengine'] = None;"
        'from mmmlc.toy_scenes import CLASSES; print(len(CLASSES))'
    )
    result = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert result.stdout.strip() == '20', result.stderr


# ---- statistics


def test_every_class_is_in_two_percent_of_the_images_and_frequencies_differ(many):
    images = Counter(label for objects in many for label in {item.label for item in objects})
    shares = [images[label] / len(many) for label in range(20)]
    assert min(shares) >= 0.02
    assert max(shares) >= 2 * min(shares)
    assert set(Counter(map(len, many))) == {1, 2, 3, 4, 5, 6}


def test_sizes_spread_with_many_small_objects(many):
    sizes = np.array([max(item.bbox[2:]) / 48 for objects in many for item in objects])
    assert sizes.min() < 0.14 and sizes.max() > 0.45
    assert np.median(sizes) < 0.26


def test_companions_and_bodies_of_one_scene_occur_together(many):
    present = np.zeros((len(many), 20))
    for row, objects in zip(present, many, strict=True):
        row[[item.label for item in objects]] = 1
    joint = present.T @ present / len(many)
    share = present.mean(0)
    lift = joint / np.outer(share, share)  # 1: independent
    pairs = [(NAMES.index(a), NAMES.index(b)) for a, b in COMPANIONS.items()]
    assert np.mean([lift[pair] for pair in pairs]) > 1.5
    apart = [
        lift[a, b]
        for a, b in combinations(range(20), 2)
        if {CLASSES[a].body, CLASSES[b].body} == {'boat', 'furniture'}
    ]
    assert np.mean(apart) < 0.5


# ---- files


def test_the_files_do_not_depend_on_the_number_of_workers(tool, folder, tmp_path):
    # OpenCV's threads run before the fork: the workers must not wait for them.
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (31, 31), 0)
    assert tool.make_toy_scenes(tmp_path / 'two', **SMALL, workers=2)
    assert contents(tmp_path / 'two') == contents(folder)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_pycocotools_reads_what_was_drawn(folder, split):
    coco = COCO(folder / 'annotations' / f'instances_{split}.json')
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == NAMES
    assert len(coco.imgs) == SMALL[split]
    assert len({a['id'] for a in coco.anns.values()}) == len(coco.anns)
    for index, (image_id, entry) in enumerate(sorted(coco.imgs.items())):
        image, objects = draw_scene(SMALL['seed'], split, index, SMALL['size'])
        stored = cv2.imread(str(folder / split / entry['file_name']))
        assert stored.shape == (entry['height'], entry['width'], 3)
        assert np.array_equal(stored, image)
        annotations = coco.loadAnns(coco.getAnnIds(image_id, iscrowd=False))
        read = [(a['category_id'] - 1, tuple(a['bbox']), a['area']) for a in annotations]
        assert read == [(item.label, item.bbox, item.area) for item in objects]


def test_info_names_seed_version_and_parameters(folder):
    info = json.loads((folder / 'annotations' / 'instances_val.json').read_text())['info']
    assert info['seed'] == SMALL['seed'] and info['version'] == scenes.VERSION
    assert info['parameters'] == {**SMALL, 'version': scenes.VERSION}


def options(out, **changes):
    values = {**SMALL, 'workers': 1, **changes}
    return [str(out), *(f'--{name}={value}' for name, value in values.items())]


def test_the_same_command_again_changes_nothing_and_says_so(tool, folder, capsys):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob('*')}
    assert tool.main(options(folder)) == 0
    assert 'already there' in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in folder.rglob('*')} == before


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'train': 0}, '--train 0: expected an integer from 1'),
        ({'val': -1}, '--val -1: expected'),
        ({'size': 8}, '--size 8: expected an integer from 48 to 1024'),
        ({'seed': -1}, '--seed -1: expected'),
        ({'workers': 0}, '--workers 0: expected'),
        ({'seed': 'x'}, 'invalid int value'),
        ({'seed': 4}, r"ToyScenes with .*'seed': 3.* asked for .*'seed': 4.* --force"),
    ],
)
def test_bad_or_different_options_are_refused(tool, folder, capsys, change, message):
    before = contents(folder)
    with pytest.raises(SystemExit) as stop:
        tool.main(options(folder, **change))
    assert stop.value.code == 2
    assert re.search(message, ' '.join(capsys.readouterr().err.split()))
    assert contents(folder) == before


def test_a_folder_with_other_content_is_left_alone(tool, tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='holds no ToyScenes'):
        tool.make_toy_scenes(tmp_path, **SMALL)
    with pytest.raises(FileExistsError, match='notes.txt is not a folder'):
        tool.make_toy_scenes(tmp_path / 'notes.txt', **SMALL, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ['notes.txt']


@pytest.mark.parametrize('damage', ['image', 'json', 'broken json'])
def test_damage_is_noticed_and_force_repairs_it(tool, folder, tmp_path, damage):
    out = tmp_path / 'set'
    shutil.copytree(folder, out)
    (out / 'notes.txt').write_text('mine')
    path = out / ('train/000004.png' if damage == 'image' else 'annotations/instances_val.json')
    path.unlink()
    if damage == 'broken json':
        path.write_text('{"info": ')
    with pytest.raises(FileExistsError, match='not complete.*--force'):
        tool.make_toy_scenes(out, **SMALL)
    assert tool.make_toy_scenes(out, **SMALL, force=True)
    assert (out / 'notes.txt').read_text() == 'mine'
    (out / 'notes.txt').unlink()
    assert contents(out) == contents(folder)


@pytest.mark.parametrize('workers', [1, 2])
def test_an_interrupted_run_never_looks_complete_and_is_repeated(
    tool, folder, tmp_path, monkeypatch, workers
):
    def fail_late(seed, split, index, size):
        if (split, index) == ('val', 3):
            raise KeyboardInterrupt
        return draw_scene(seed, split, index, size)

    out = tmp_path / 'set'
    with monkeypatch.context() as patch:
        patch.setattr(tool, 'draw_scene', fail_late)  # workers are forked: they see it too
        with pytest.raises(KeyboardInterrupt):
            tool.make_toy_scenes(out, **SMALL, workers=workers)
    assert (out / 'train' / '000000.png').exists()
    assert not list((out / 'annotations').glob('*.json'))
    with pytest.raises(FileExistsError, match="asked for .*'seed': 9"):
        tool.make_toy_scenes(out, **{**SMALL, 'seed': 9})
    assert tool.make_toy_scenes(out, **SMALL)
    assert contents(out) == contents(folder)


def test_a_failed_write_is_an_error(tool, tmp_path):
    with pytest.raises(OSError, match='could not write .*train/000000.png'):
        tool.write_image(('train', 0), str(tmp_path / 'nowhere'), seed=0, size=48)
