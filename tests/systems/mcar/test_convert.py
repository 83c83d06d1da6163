"""The authors' checkpoints, rule-made, through the converter."""

from __future__ import annotations

import functools
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from author_images import rule_image
from author_models import Author
from helpers.places import DATA, ROOT
from helpers.small_data import write_coco
from mmpretrain.registry import MODELS
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from mmmlc.datasets.voc import VOC
from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import build_runner, load_config, load_weights
from mmmlc.systems.mcar.convert import COCO_CATEGORIES, convert_mcar, convert_mcar_file

TOPN = 2
ARCHS = {
    'resnet50': (dict(type='mmpretrain.ResNet', depth=50), 2048),
    'resnet101': (dict(type='mmpretrain.ResNet', depth=101), 2048),
    'mobilenetv2': (dict(type='mmpretrain.MobileNetV2', out_indices=(7,)), 1280),
}
BY_NAME = {20: VOC.METAINFO['classes'], 80: tuple(sorted(COCO_CATEGORIES))}
ORDERS = {20: VOC.METAINFO['classes'], 80: COCO_CATEGORIES}


@functools.cache
def backbone_of(arch: str) -> Author:
    return Author(arch, 20)


def author(arch: str, classes: int) -> Author:
    model = backbone_of(arch)
    model.set_classes(classes, ARCHS[arch][1])
    return model


def ours(arch: str, checkpoint: dict, pooling: str = 'gwp', topn: int = TOPN):
    backbone, channels = ARCHS[arch]
    head = dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=len(checkpoint['meta']['dataset_meta']['classes']),
        in_channels=channels,
        pooling=pooling,
    )
    model = MODELS.build(dict(type='mmmlc.MCAR', backbone=backbone, head=head, topn=topn))
    model.load_state_dict(checkpoint['state_dict'])
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize('classes', [20, 80])
@pytest.mark.parametrize('arch', ARCHS)
def test_scores_after_converting(arch, classes):
    reference = author(arch, classes)
    images = torch.randn(2, 3, 128, 128)  # maps of two rows put values on the threshold
    expected = torch.stack([reference.scores(image, TOPN) for image in images])
    converted = convert_mcar(reference.checkpoint(arch=arch))
    with torch.no_grad():
        scores = ours(arch, converted)(images).sigmoid()
    names = converted['meta']['dataset_meta']['classes']
    assert names == ORDERS[classes]
    rows = [BY_NAME[classes].index(name) for name in names]
    torch.testing.assert_close(scores, expected[:, rows], atol=1e-4, rtol=0)
    assert expected.std(1).min() > 0.05  # classes differ, so their order shows


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arch', 'classes', 'pooling'),
    [
        ('resnet50', 80, 'gwp'),
        ('resnet50', 20, 'avg'),
        ('mobilenetv2', 20, 'gwp'),
        ('mobilenetv2', 80, 'max'),
    ],
)
def test_scores_are_those_of_the_authors_code(arch, classes, pooling):
    data = np.load(DATA / 'mcar_rule_made.npz')
    converted = convert_mcar(author(arch, classes).checkpoint())
    model = ours(arch, converted, dict(avg='gap', max='gmp').get(pooling, pooling), topn=4)
    chosen = [0, 2]  # in image 1 rounding decides on a region: test_mcar
    images = torch.from_numpy(np.stack([rule_image(i) for i in chosen]))
    images = images.permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    with torch.no_grad():
        scores = model((images - mean) / std).sigmoid().numpy()
    key = f'{arch}_{classes}_{pooling}'
    expected = np.maximum(data[f'{key}_global'], data[f'{key}_local'])[chosen]
    rows = [BY_NAME[classes].index(name) for name in ORDERS[classes]]
    np.testing.assert_allclose(scores, expected[:, rows], atol=1e-4)


def test_names_of_coco():
    """torchvision lists all 91 ids, of which 80 are in use."""
    listed = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta['categories']
    used = tuple(name for name in listed if name not in ('__background__', 'N/A'))
    assert used == COCO_CATEGORIES


def run(monkeypatch, tool: str, *words: object) -> None:
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, words)])
    # Slow: asking compilers for the log, and formatting the config for log and checkpoint.
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    monkeypatch.setattr('mmengine.config.Config.pretty_text', property(lambda cfg: ''))
    runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')


@pytest.fixture(scope='module')
def published(tmp_path_factory) -> Path:
    """A file of the authors' time: old format, NumPy's number, no batch counts."""
    path = tmp_path_factory.mktemp('published') / 'mcar_mobilenetv2_coco.pth.tar'
    checkpoint = author('mobilenetv2', 80).checkpoint(
        arch='mobilenetv2', best_score=np.float64(75.5)
    )
    state = checkpoint['state_dict']
    checkpoint['state_dict'] = {k: v for k, v in state.items() if 'num_batches' not in k}
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def config(tmp_path) -> Path:
    """The published configuration on two images of all 80 classes."""
    cfg = load_config(ROOT / 'configs/mcar/mcar_mbv2_coco-256.py', work_dir=tmp_path / 'work')
    loader = cfg.test_dataloader
    write_coco(tmp_path / 'data', loader.dataset, list(COCO_CATEGORIES))
    loader.dataset.data_root = str(tmp_path / 'data')
    loader.dataset.pipeline[1].scale = (64, 64)
    loader.update(num_workers=0, persistent_workers=False)
    cfg.dump(tmp_path / 'config.py')
    return tmp_path / 'config.py'


def test_from_the_published_file_to_a_test(monkeypatch, published, config, tmp_path, capsys):
    out = tmp_path / 'out' / 'ours.pth'
    run(monkeypatch, 'convert_mcar_checkpoint.py', published, out)
    assert f'{out}: MobileNet-v2, 80 classes, person to toothbrush' in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ['ours.pth']
    source = load_checkpoint_file(out)['meta']['mcar']
    assert source == dict(arch='mobilenetv2', epoch=60, best_score=75.5)
    run(monkeypatch, 'test.py', config, out, '--out', tmp_path / 'result')
    assert 0 <= json.loads((tmp_path / 'result/summary.json').read_text())['mAP'] <= 100
    with pytest.raises(FileExistsError, match='ours.pth exists: give --overwrite'):
        run(monkeypatch, 'convert_mcar_checkpoint.py', published, out)


@pytest.mark.slow
def test_order_by_name(monkeypatch, published, config, tmp_path):
    out = tmp_path / 'ours.pth'
    out.touch()
    run(
        monkeypatch, 'convert_mcar_checkpoint.py', published, out, '--class-order', 'name',
        '--overwrite',
    )  # fmt: skip
    state = load_checkpoint_file(out)['state_dict']
    original = load_checkpoint_file(published)['state_dict']
    weight = original['module.convclass.weight']
    assert torch.equal(state['head.classifier.weight'], weight)
    runner = build_runner(load_config(config))
    load_weights(runner, out)
    with pytest.raises(ValueError, match="index 0: 'airplane' in training, 'person' in test_data"):
        runner.test()
    cfg = load_config(config, {'test_dataloader.dataset.class_order': 'name'})
    runner = build_runner(cfg)
    load_weights(runner, out)
    runner.test()


def small(**changes) -> dict:
    """MobileNet-v2 with 3 classes, with some entries changed or, given None, left out."""
    checkpoint = author('mobilenetv2', 3).checkpoint(prefix='', **changes)
    return {key: value for key, value in checkpoint.items() if value is not None}


def test_other_classes(monkeypatch, tmp_path):
    torch.save(small(), tmp_path / 'in.pth.tar')
    (tmp_path / 'names.txt').write_text('pear\napple\nfig\n\n')
    words = (tmp_path / 'in.pth.tar', tmp_path / 'out.pth', '--classes', tmp_path / 'names.txt')
    run(monkeypatch, 'convert_mcar_checkpoint.py', *words)
    checkpoint = load_checkpoint_file(tmp_path / 'out.pth')
    assert checkpoint['meta']['dataset_meta']['classes'] == ('pear', 'apple', 'fig')
    sorted_ = convert_mcar(small(), 'name', ['pear', 'apple', 'fig'])
    assert sorted_['meta']['dataset_meta']['classes'] == ('apple', 'fig', 'pear')
    bias = checkpoint['state_dict']['head.classifier.bias']
    assert torch.equal(sorted_['state_dict']['head.classifier.bias'], bias[[1, 2, 0]])


def changed(**tensors) -> dict:
    """The small checkpoint with other tensors; None leaves one out."""
    state = small()['state_dict'] | {k.replace('__', '.'): v for k, v in tensors.items()}
    return small(state_dict={k: v for k, v in state.items() if v is not None})


BAD = {
    'no state_dict, but epoch, arch, best_score': lambda: small(state_dict=None),
    'its keys are those of mmmlc already': lambda: convert_mcar(small(), classes=list('abc')),
    'other things than tensors: convclass.bias': lambda: changed(convclass__bias=[0, 0, 0]),
    'the keys are not those of MCAR with ResNet-50, ResNet-101, MobileNet-v2': (
        lambda: dict(state_dict=dict(a=torch.zeros(1)))
    ),
    'the keys are not those of MCAR.*features': lambda: changed(convclass__weight=None),
    "arch is 'resnet50', but the keys are those of MobileNet-v2": lambda: small(arch='resnet50'),
    'not the weights of MCAR with MobileNet-v2; missing: features.0.1.conv.0.weight$': (
        lambda: changed(features__0__1__conv__0__weight=None)
    ),
    'MobileNet-v2; unknown: features.2.weight$': (
        lambda: changed(features__2__weight=torch.zeros(1))
    ),
    r'of another shape: convclass.weight \(3, 640, 1, 1\), expected \(3, 1280, 1, 1\)': (
        lambda: changed(convclass__weight=torch.zeros(3, 640, 1, 1))
    ),
    'it has 3 classes, neither the 20 of VOC nor the 80 of COCO.*--classes': small,
    r"best_score': 'good'}, expected numbers": lambda: small(best_score='good'),
}


@pytest.mark.parametrize('message', BAD, ids=lambda message: message[:30])
def test_anything_else_is_refused(message, tmp_path):
    classes = list('abc') if 'numbers' in message else None
    torch.save(BAD[message](), tmp_path / 'in.pth.tar')
    with pytest.raises(ValueError, match=rf'in\.pth\.tar: .*{message}'):
        convert_mcar_file(tmp_path / 'in.pth.tar', tmp_path / 'out.pth', classes=classes)
    assert not (tmp_path / 'out.pth').exists()


def test_wrong_names_and_orders():
    with pytest.raises(ValueError, match='it has 3 classes, 2 names are given'):
        convert_mcar(small(), classes=['a', 'b'])
    with pytest.raises(ValueError, match='classes hold a more than once'):
        convert_mcar(small(), classes=['a', 'b', 'a'])
    with pytest.raises(ValueError, match="class_order is 'id', expected one of 'category', 'name'"):
        convert_mcar(small(), class_order='id')


def test_resnet34_is_not_resnet50():
    state = {f'features.6.{i}.conv1.weight': torch.zeros(1) for i in range(6)}
    state |= {'convclass.weight': torch.zeros(20, 512, 1, 1)}
    with pytest.raises(ValueError, match='not the weights of MCAR with ResNet-50; missing'):
        convert_mcar(dict(state_dict=state))
