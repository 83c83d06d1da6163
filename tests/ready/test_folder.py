"""Folders of models: found by name, written whole or not at all."""

from __future__ import annotations

import re

import pytest
import torch
from helpers.ready_models import CLASSES, random_state, ready_config, write_ready
from safetensors.torch import load_file

from mmmlc.engine.launch import load_config
from mmmlc.ready import folder as folders
from mmmlc.ready.folder import VARIABLE, check_free, find_folder, new_folder, write_model


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Two folders of models; the second one stands for the checkout's."""
    named, checkout = tmp_path / 'named', tmp_path / 'models'
    monkeypatch.setattr(folders, 'CHECKOUT', checkout)
    monkeypatch.setenv(VARIABLE, str(named))
    for path in (named / 'cars', checkout / 'cars', checkout / 'birds20'):
        path.mkdir(parents=True)
        for name in ('config.py', 'model.safetensors'):
            (path / name).touch()
    return named, checkout


def test_models_are_found_by_name(places, tmp_path, monkeypatch):
    named, checkout = places
    assert find_folder('cars') == named / 'cars'
    assert find_folder('birds20') == checkout / 'birds20'
    assert find_folder(checkout / 'cars') == find_folder(f'{checkout}/cars/') == checkout / 'cars'
    monkeypatch.chdir(tmp_path)
    assert find_folder('models/cars').samefile(checkout / 'cars')
    monkeypatch.delenv(VARIABLE)
    assert find_folder('cars') == checkout / 'cars'


def test_wrong_names(places):
    named, checkout = places
    message = f"no model 'bird20', did you mean 'birds20'? there are ['birds20', 'cars'] in {named}"
    with pytest.raises(FileNotFoundError, match=re.escape(f'{message}, {checkout}')):
        find_folder('bird20')
    with pytest.raises(FileNotFoundError, match=r"no model 'x\\x1by': there are"):
        find_folder('x\x1by')
    (checkout / 'cars/model.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match='cars has no model.safetensors: it is no folder'):
        find_folder(checkout / 'cars')


def test_no_models_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, 'CHECKOUT', tmp_path)
    monkeypatch.setenv(VARIABLE, '')
    with pytest.raises(FileNotFoundError, match=f"no model 'a': there are none in {tmp_path};"):
        find_folder('a')


def test_half_is_for_matrices_alone(tmp_path):
    cfg = ready_config()
    state = random_state(cfg)
    with new_folder(tmp_path / 'm') as part:
        write_model(part, 'm', cfg, state, CLASSES, half=True)
    stored = load_file(tmp_path / 'm/model.safetensors')
    assert stored.keys() == state.keys()
    for key, value in state.items():
        wanted = torch.float16 if value.ndim > 1 else value.dtype
        assert stored[key].dtype == wanted and value.ndim > 1 or stored[key].equal(value), key
    assert stored['backbone.conv1.weight'].dtype == torch.float16
    assert stored['head.thresholds'].dtype == torch.float32


def test_config_has_what_a_test_needs_and_no_weights_to_fetch(tmp_path):
    cfg = ready_config()
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='https://nowhere')
    cfg.model.pretrained = 'https://nowhere'
    cfg.train_dataloader, cfg.optim_wrapper = dict(batch_size=2), dict(optimizer=dict(type='SGD'))
    with new_folder(tmp_path / 'm') as part:
        write_model(part, 'm', cfg, random_state(ready_config()), CLASSES)
    written = load_config(tmp_path / 'm/config.py')
    assert written.work_dir == 'work_dirs/m'
    assert 'nowhere' not in written.pretty_text and 'optim_wrapper' not in written
    assert 'train_dataloader' not in written
    for key in ('test_dataloader', 'test_evaluator', 'test_cfg'):
        assert written[key].to_dict() == cfg[key].to_dict()
    cfg = ready_config(dict(backbone=dict(type='mmmlc.TIMMFeatureMap', pretrained='packaged')))
    assert 'pretrained=False' in folders.config_text(cfg, tmp_path).replace(' ', '')


def test_a_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError, match='stop'), new_folder(tmp_path / 'm') as part:
        (part / 'config.py').touch()
        raise RuntimeError('stop')
    assert not [*tmp_path.iterdir()]
    write_ready(tmp_path / 'm')
    before = (tmp_path / 'm/model.safetensors').read_bytes()
    with pytest.raises(RuntimeError, match='stop'), new_folder(tmp_path / 'm', True) as part:
        raise RuntimeError('stop')
    assert (tmp_path / 'm/model.safetensors').read_bytes() == before
    with new_folder(tmp_path / 'm', True) as part:
        (part / 'other').touch()
    assert [path.name for path in (tmp_path / 'm').iterdir()] == ['other']
    assert [path.name for path in tmp_path.iterdir()] == ['m']


def test_what_may_be_replaced(tmp_path):
    write_ready(tmp_path / 'm')
    with pytest.raises(FileExistsError, match=r'm is there: name another folder, or replace it'):
        check_free(tmp_path / 'm', False)
    check_free(tmp_path / 'm', True)
    (tmp_path / 'photos').mkdir()
    check_free(tmp_path / 'photos', False)
    (tmp_path / 'photos/a.jpg').touch()
    for replace in (False, True):
        with pytest.raises(FileExistsError, match='photos is there, and is no folder of a model'):
            check_free(tmp_path / 'photos', replace)
