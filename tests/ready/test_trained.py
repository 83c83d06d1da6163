"""A model of a training: from its work directory, wherever that lies now, or config and weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.places import ROOT
from helpers.tiny_training import tiny_config, train, without_slow_parts
from mmengine.config import Config

from mmmlc.engine import load_config
from mmmlc.ready import get_model
from mmmlc.ready.sources import find_images
from mmmlc.ready.trained import read_trained


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A work directory with two checkpoints, the first of which is the best."""
    folder = tmp_path_factory.mktemp('trained')
    cfg = tiny_config(folder, epochs=2)
    cfg.default_hooks.checkpoint = dict(type='mmmlc.CheckpointHook', interval=1, save_best='mAP')
    with without_slow_parts():
        train(cfg)
    work = folder / 'work'
    [path.unlink() for path in work.glob('*.py')]
    Config(cfg.to_dict()).dump(work / 'tiny.py')
    return folder


def photos(folder):
    return find_images([str(folder / 'data')])


def test_the_best_checkpoint_of_a_work_directory(trained, tmp_path):
    work = trained / 'work'
    (best,) = work.glob('best_*.pth')
    assert read_trained(work).where == str(best)
    paths = photos(trained)
    found = get_model(work).predict(paths)
    wanted = get_model(work / 'tiny.py', checkpoint=best).predict(paths)
    assert found == wanted and len(found) == len(paths) > 1
    state = torch.load(best, weights_only=False)['state_dict']
    model = get_model(work).model
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    # The folder was moved, and the best one is gone: the newest.
    moved = work.rename(tmp_path / 'moved')
    try:
        assert read_trained(moved).where == str(moved / best.name)
        away = (moved / best.name).rename(tmp_path / 'away.pth')
        assert read_trained(moved).where == str(moved / 'epoch_2.pth')
        whole = (moved / 'epoch_2.pth').read_bytes()
        (moved / 'epoch_2.pth').write_bytes(b'cut')
        assert read_trained(moved).where == str(moved / 'epoch_1.pth')
        (moved / 'epoch_2.pth').write_bytes(whole)
        away.rename(moved / best.name)
    finally:
        moved.rename(work)


def test_number_of_classes_comes_from_the_checkpoint(trained, tmp_path):
    """Where a config leaves it to the data."""
    source = trained / 'work/tiny.py'
    cfg = load_config(source)
    number, cfg.model.head.num_classes = cfg.model.head.num_classes, None
    config = tmp_path / 'own.py'
    cfg.dump(config)
    model = get_model(config, checkpoint=trained / 'work/epoch_1.pth')
    assert len(model.classes) == number == model.model.head.num_classes


def test_what_is_missing_is_named(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.pth: no such checkpoint'):
        get_model(trained / 'work/tiny.py', checkpoint=tmp_path / 'gone.pth')
    with pytest.raises(ValueError, match='tiny.py: a config file needs a checkpoint'):
        get_model(trained / 'work/tiny.py')
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match='no config'):
        read_trained(empty)
    (empty / 'a.py').write_text('')
    with pytest.raises(FileNotFoundError, match='no checkpoint'):
        read_trained(empty)
    (empty / 'epoch_1.pth').write_bytes(b'no checkpoint')
    with pytest.raises(ValueError, match=r'no checkpoint that can be used:\n  epoch_1.pth '):
        read_trained(empty)
    (empty / 'b.py').write_text('')
    with pytest.raises(ValueError, match=r'several configs \(a.py, b.py\)'):
        read_trained(empty)
    torch.save(dict(state_dict={}), empty / 'bare.pth')
    with pytest.raises(ValueError, match='bare.pth does not say its classes'):
        read_trained(ROOT / 'tests/data/plain_toy.py', empty / 'bare.pth')


def test_scores_in_bfloat16_are_near(trained):
    paths = photos(trained)
    exact, near = (get_model(trained / 'work', amp=amp).predict(paths) for amp in (False, True))
    scores = [np.array([[*one.scores.values()] for one in found]) for found in (exact, near)]
    np.testing.assert_allclose(*scores, atol=0.02)
    assert not np.array_equal(*scores)
