"""Models that are ready: the scores of tools/test.py, whatever the images come as."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.ready_models import (
    CLASSES,
    THRESHOLDS,
    random_state,
    ready_config,
    write_colours,
    write_ready,
)
from PIL import Image

import mmmlc
from mmmlc.datasets.image_files import BrokenImageError
from mmmlc.engine import RunOptions, build_runner, load_config, load_weights
from mmmlc.ready import Prediction, ReadyModel, get_model


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_ready(tmp_path_factory.mktemp('models') / 'colours')


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp('photos'))


def scores_of(found: list[Prediction]) -> np.ndarray:
    return np.array([[*one.scores.values()] for one in found])


def test_equal_to_a_test(folder, photos, tmp_path, monkeypatch):
    """Scores and labels are those of the runner of ``tools/test.py``."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    monkeypatch.chdir(photos[0].rpartition('/')[0])
    cfg = load_config(folder / 'config.py', work_dir=tmp_path)
    runner = build_runner(cfg, options=RunOptions(test=True, out_dir=tmp_path / 'out'))
    load_weights(runner, folder / 'model.safetensors')
    seen = []
    (metric,) = runner.test_evaluator.metrics
    process = metric.process
    metric.process = lambda batch, samples: (seen.extend(samples), process(batch, samples))
    runner.test()
    model = get_model(folder)
    for batch_size in (1, 4, 16):
        found = model.predict(photos, batch_size)
        assert [one.image for one in found] == photos
        wanted = np.stack([sample['pred_score'] for sample in seen])
        np.testing.assert_allclose(scores_of(found), wanted, atol=1e-6)
        for one, sample in zip(found, seen, strict=True):
            assert {CLASSES.index(name) for name in one.labels} == set(
                sample['pred_label'].tolist()
            )
    assert wanted.std(0).min() > 0.01  # the images differ
    # A test with the classes in another order is refused.
    cfg.test_dataloader.dataset.classes = [*CLASSES[::-1]]
    runner = build_runner(cfg, options=RunOptions(test=True))
    load_weights(runner, folder / 'model.safetensors')
    with pytest.raises(ValueError, match="difference is at index 0: 'blue' in training, 'red'"):
        runner.test()


def test_labels_follow_the_thresholds(folder, photos):
    model = get_model(folder)
    assert model.classes == CLASSES and not model.model.training
    torch.testing.assert_close(model.thresholds, torch.tensor(THRESHOLDS))
    found = model.predict(photos)
    numbers = {len(one.labels) for one in found}
    for one in found:
        scores = [one.scores[name] for name in one.labels]
        assert scores == sorted(scores, reverse=True) and [*one.scores] == [*CLASSES]
        wanted = {n for n, t in zip(CLASSES, THRESHOLDS, strict=True) if one.scores[n] >= t}
        assert set(one.labels) == wanted and one.regions == ()
    assert len(numbers) > 1
    cfg, state = ready_config(), random_state(ready_config())
    del state['head.thresholds']
    model = ReadyModel(cfg, state, CLASSES)
    torch.testing.assert_close(model.thresholds, torch.full((3,), 0.5))


def test_paths_pillow_and_arrays_give_the_same(folder, photos):
    model = get_model(folder)
    images = [Image.open(path) for path in photos]
    arrays = [np.array(image) for image in images]
    wanted = scores_of(model.predict(photos))
    for kind in (images, arrays, [image.convert('RGBA') for image in images]):
        found = model.predict(kind)
        np.testing.assert_array_equal(scores_of(found), wanted)
        assert [one.image for one in found] == [f'image {i}' for i in range(len(photos))]
    mixed = [photos[0], images[1], arrays[2]]
    np.testing.assert_array_equal(scores_of(model.predict(mixed)), wanted[:3])
    # The order of the channels counts; grey is three equal ones.
    assert np.abs(scores_of(model.predict([a[..., ::-1] for a in arrays])) - wanted).max() > 0.01
    grey = arrays[0][..., 0]
    one, two = model.predict([grey, np.repeat(grey[..., None], 3, axis=2)])
    assert one.scores == two.scores


def test_images_are_turned_as_exif_says(folder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn, clockwise
    Image.fromarray(pixels).save(tmp_path / 'turned.png', exif=exif)
    model = get_model(folder)
    shown = np.ascontiguousarray(np.rot90(pixels, -1))
    found = model.predict([tmp_path / 'turned.png', Image.open(tmp_path / 'turned.png'), shown])
    assert found[0].scores == found[1].scores == found[2].scores
    assert found[0].scores != model.predict([pixels])[0].scores


def test_half_weights_are_read_as_float32(folder, photos, tmp_path):
    half = get_model(write_ready(tmp_path / 'half', half=True))
    assert {value.dtype for value in half.model.parameters()} == {torch.float32}
    wanted = scores_of(get_model(folder).predict(photos))
    found = scores_of(half.predict(photos))
    assert 0 < np.abs(found - wanted).max() < 0.02


def test_pictures(folder, photos):
    model = get_model(folder)
    samples = [*model.samples(photos)]
    for image in (photos[0], np.array(Image.open(photos[0]))):
        picture = model.draw(image, samples[0])
        assert min(picture.size) >= 384 and np.array(picture).std() > 10


def test_wrong_images(folder, photos, tmp_path):
    model = get_model(folder)
    (tmp_path / 'broken.png').write_bytes(b'x')
    with pytest.raises(BrokenImageError, match='broken.png: begins with'):
        model.predict([photos[0], tmp_path / 'broken.png'])
    for array in (np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(ValueError, match=r'image 1 is an array of .*, expected uint8 \(H, W'):
            model.predict([photos[0], array])
    with pytest.raises(TypeError, match='image 0 is of type int, expected a path'):
        model.predict([3])
    for one in (photos[0], np.zeros((4, 4, 3), np.uint8), Image.new('RGB', (4, 4))):
        with pytest.raises(TypeError, match='images is one .*, expected a list of images'):
            model.predict(one)
    with pytest.raises(ValueError, match='batch_size is 0'):
        model.predict(photos, 0)
    assert model.predict([]) == []


def test_files_that_do_not_fit(folder, tmp_path):
    cfg, state = ready_config(), random_state(ready_config())
    for key in ('backbone.conv1.weight', 'head.classifier.bias'):
        for other in (None, torch.zeros(5)):
            changed = {k: v for k, v in state.items() if k != key}
            changed |= {} if other is None else {key: other}
            with pytest.raises(ValueError, match=f'm: weights do not fit(.|\n)*{key}'):
                ReadyModel(cfg, changed, CLASSES, where='m')
    with pytest.raises(ValueError, match='do not fit(.|\n)*head.other'):
        ReadyModel(cfg, state | {'head.other': torch.zeros(1)}, CLASSES)
    with pytest.raises(ValueError, match='2 names of classes, the head has 3'):
        ReadyModel(cfg, state, CLASSES[:2])
    cfg.test_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline[1:]
    with pytest.raises(ValueError, match='begins with Resize, expected mmmlc.LoadImage'):
        ReadyModel(cfg, state, CLASSES)
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'config.py').write_bytes((folder / 'config.py').read_bytes())
    content = (folder / 'model.safetensors').read_bytes()
    (broken / 'model.safetensors').write_bytes(content[:-100])
    with pytest.raises(ValueError, match='model.safetensors cannot be read as a checkpoint'):
        get_model(broken)


def test_imported_when_it_is_used():
    code = (
        'import sys, mmmlc; assert not {"torch", "mmengine"} & {*sys.modules}; '
        'print(mmmlc.get_model.__module__)'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip().endswith('mmmlc.ready.model')
    assert mmmlc.get_model is get_model
    with pytest.raises(AttributeError, match="module 'mmmlc' has no attribute 'get_modle'"):
        mmmlc.get_modle  # noqa: B018 - it raises
