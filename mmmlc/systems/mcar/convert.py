"""The published checkpoints of MCAR's authors, in our form.

C: classes, D: channels of the backbone's last map.

A published ``.pth.tar`` holds ``state_dict`` with ``features.*``, the backbone without its own
classifier, and ``convclass.*``, the 1x1 convolution (C, D, 1, 1) that both streams share; next to
it ``arch``, ``epoch`` and ``best_score``. Of the pooling and the input size it says nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from mmpretrain.datasets.categories import VOC2007_CATEGORIES
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

import mmmlc
from mmmlc.engine.checkpoints import load_checkpoint_file, save_checkpoint_file
from mmmlc.ops.checks import check_choice
from mmmlc.registry import MODELS

CLASS_ORDERS = ('category', 'name')
# Torchvision keeps the ids that COCO left empty as 'N/A'.
COCO_CATEGORIES = tuple(
    name
    for name in FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta['categories']
    if name not in ('__background__', 'N/A')
)


class Arch(NamedTuple):
    """A network that the authors published."""

    title: str
    backbone: dict
    channels: int  # D


ARCHS = {
    'resnet50': Arch('ResNet-50', dict(type='mmpretrain.ResNet', depth=50), 2048),
    'resnet101': Arch('ResNet-101', dict(type='mmpretrain.ResNet', depth=101), 2048),
    'mobilenetv2': Arch('MobileNet-v2', dict(type='mmpretrain.MobileNetV2'), 1280),
}


def convert_mcar_file(
    source: str | Path,
    out: str | Path,
    class_order: str = 'category',
    classes: list[str] | None = None,
    trust: bool = False,
) -> dict:
    """Convert a checkpoint file; ``out`` appears whole or not at all.

    Args:
        source: The authors' ``.pth.tar``.
        out: Where ours goes.
        class_order: See :func:`convert_mcar`.
        classes: See :func:`convert_mcar`.
        trust: See :func:`mmmlc.engine.load_checkpoint_file`.

    Returns:
        The converted checkpoint.

    Raises:
        FileNotFoundError: if there is no ``source``.
        ValueError: naming ``source``, if it is refused or is no checkpoint of the authors.
    """
    checkpoint = load_checkpoint_file(source, trust)
    try:
        converted = convert_mcar(checkpoint, class_order, classes)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    save_checkpoint_file(converted, out)
    return converted


def convert_mcar(
    checkpoint: dict, class_order: str = 'category', classes: list[str] | None = None
) -> dict:
    """Convert a loaded checkpoint of the authors.

    Args:
        checkpoint: As loaded from the ``.pth.tar``.
        class_order: Order of the classes in the result: ``'category'``, that of the data set (for
            COCO by category id, for VOC alphabetical), or ``'name'``, alphabetical, as COCO's are
            in the authors' files; see ``class_order`` of :class:`mmmlc.datasets.CocoMultiLabel`.
        classes: The C names in the checkpoint's order. By default 20 classes are VOC's and 80
            are COCO's sorted by name.

    Returns:
        ``state_dict`` with the keys of :class:`MCAR` (and of the plain baseline), and
        ``meta`` with the class names, where ``mmmlc.VocabularyHook`` looks for them.

    Raises:
        ValueError: if it isn't such a checkpoint: missing or further keys, other shapes, another
            number of classes than names are known for.
    """
    check_choice('class_order', class_order, CLASS_ORDERS)
    state = _author_state(checkpoint)
    name = _recognise(state, checkpoint.get('arch'))
    expected = _expected(ARCHS[name], _num_classes(state))
    _compare(ARCHS[name].title, expected, state)
    weights = {ours: _tensor(state, authors) for authors, (ours, _) in expected.items()}

    given, wanted = _class_names(_num_classes(state), class_order, classes)
    rows = [given.index(class_name) for class_name in wanted]
    for key in ('head.classifier.weight', 'head.classifier.bias'):
        weights[key] = weights[key][rows]
    source = dict(arch=name, **_scores(checkpoint))
    meta = dict(dataset_meta=dict(classes=wanted), mcar=source, mmmlc_version=mmmlc.__version__)
    return dict(meta=meta, state_dict=weights)


def _author_state(checkpoint: dict) -> dict[str, Tensor]:
    """The weights, without the prefix of DataParallel."""
    state = checkpoint.get('state_dict')
    if not isinstance(state, dict):
        raise ValueError(f'no state_dict, but {_some(checkpoint)}; expected a .pth.tar of MCAR')
    if any(key.startswith('head.classifier.') for key in state):
        raise ValueError('its keys are those of mmmlc already, there is nothing to convert')
    if strange := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise ValueError(f'state_dict holds other things than tensors: {_some(strange)}')
    prefix = 'module.'
    if all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def _scores(checkpoint: dict) -> dict[str, float]:
    given = {key: checkpoint.get(key) for key in ('epoch', 'best_score')}
    try:
        return {key: float(value) for key, value in given.items() if value is not None}
    except (TypeError, ValueError) as error:
        raise ValueError(f'epoch and best_score are {given}, expected numbers') from error


def _recognise(state: dict[str, Tensor], arch: object) -> str:
    """Name of the network, by its keys; ``arch`` may not say otherwise."""
    name: str | None
    if 'features.0.0.0.weight' in state:
        name = 'mobilenetv2'
    else:
        blocks = {key.split('.')[2] for key in state if key.startswith('features.6.')}
        name = {6: 'resnet50', 23: 'resnet101'}.get(len(blocks))
    if name is None or 'convclass.weight' not in state:
        raise ValueError(
            f'the keys are not those of MCAR with {", ".join(a.title for a in ARCHS.values())} '
            f'(features.*, convclass.*): {_some(state)}'
        )
    told = [n for n in ARCHS if n in re.sub('[^a-z0-9]', '', str(arch).lower())]
    if told and name not in told:
        raise ValueError(f'arch is {arch!r}, but the keys are those of {ARCHS[name].title}')
    return name


def _num_classes(state: dict[str, Tensor]) -> int:
    return len(state['convclass.weight'])


def _expected(arch: Arch, num_classes: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """For each key of the authors our key and the shape."""
    backbone = MODELS.build(arch.backbone).state_dict()
    mobilenet = 'MobileNet' in arch.title
    keys = _mobilenet_keys(backbone) if mobilenet else map(_resnet_key, backbone)
    expected = {
        authors: (f'backbone.{ours}', tuple(value.shape))
        for authors, (ours, value) in zip(keys, backbone.items(), strict=True)
    }
    expected['convclass.weight'] = 'head.classifier.weight', (num_classes, arch.channels, 1, 1)
    expected['convclass.bias'] = 'head.classifier.bias', (num_classes,)
    return expected


def _resnet_key(key: str) -> str:
    """``layer1.0.conv1.weight`` is ``features.4.0.conv1.weight``: an nn.Sequential of all units."""
    unit, rest = key.split('.', 1)
    units = ('conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4')
    return f'features.{units.index(unit)}.{rest}'


def _mobilenet_keys(keys: dict[str, Tensor]) -> list[str]:
    """``layer2.0.conv.1.bn.bias`` is ``features.0.2.conv.4.bias``.

    Blocks are counted through all layers, after the stem at 0; inside a block each convolution,
    batch norm and activation has a number of its own.
    """
    blocks: dict[tuple[str, str], int] = {}
    found = []
    for key in keys:
        *unit, kind, name = key.split('.')
        place = ('conv', 'bn').index(kind)
        if unit == ['conv1']:
            found.append(f'features.0.0.{place}.{name}')
        elif unit == ['conv2']:
            found.append(f'features.1.{place}.{name}')
        else:
            layer, block, _, step = unit
            number = blocks.setdefault((layer, block), len(blocks) + 1)
            found.append(f'features.0.{number}.conv.{3 * int(step) + place}.{name}')
    return found


def _compare(title: str, expected: dict, state: dict[str, Tensor]) -> None:
    missing = [k for k in expected if k not in state and not k.endswith('num_batches_tracked')]
    further = [key for key in state if key not in expected]
    shapes = [
        f'{key} {tuple(state[key].shape)}, expected {shape}'
        for key, (_, shape) in expected.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    found = dict(missing=missing, unknown=further, **{'of another shape': shapes})
    if reasons := [f'{what}: {_some(keys)}' for what, keys in found.items() if keys]:
        raise ValueError(f'not the weights of MCAR with {title}; ' + '; '.join(reasons))


def _some(keys: Iterable) -> str:
    names = [str(key) for key in keys]
    rest = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return ', '.join(names[:3]) + rest if names else 'nothing'


def _tensor(state: dict[str, Tensor], key: str) -> Tensor:
    # PyTorch before 0.4.1 kept no such count, and nothing of ours reads it.
    return state[key].clone() if key in state else torch.tensor(0)


def _class_names(
    number: int, class_order: str, classes: list[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names in the order of the checkpoint, and in the order wanted."""
    known = {len(VOC2007_CATEGORIES): VOC2007_CATEGORIES, len(COCO_CATEGORIES): COCO_CATEGORIES}
    if classes is not None:
        names = tuple(classes)
        if twice := [name for name, n in Counter(names).items() if n > 1]:
            raise ValueError(f'classes hold {_some(twice)} more than once')
        if len(names) != number:
            raise ValueError(f'it has {number} classes, {len(names)} names are given')
        return names, tuple(sorted(names)) if class_order == 'name' else names
    if number not in known:
        raise ValueError(
            f'it has {number} classes, neither the 20 of VOC nor the 80 of COCO: give their names, '
            'in its order, with --classes'
        )
    by_name = tuple(sorted(known[number]))  # VOC's own order is this one
    return by_name, by_name if class_order == 'name' else tuple(known[number])
