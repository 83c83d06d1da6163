"""Rule-made weights for the networks of the MCAR authors' code, under our names.

Each tensor is drawn from a generator seeded by the CRC of the *authors'* key, so that anyone can
make the same network without exchanging files.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import torch
from torch import Tensor, nn


def author_key(key: str) -> str:
    """Our state dict key as the authors' code names it."""
    if key.startswith('head.classifier'):
        return key.replace('head.classifier', 'convclass')
    key = key.removeprefix('backbone.')
    return _mobilenet_key(key) if re.search(r'\.(conv|bn)\.', key) else _resnet_key(key)


def _resnet_key(key: str) -> str:
    module, rest = key.split('.', 1)
    stem = {'conv1': 0, 'bn1': 1}
    index = stem[module] if module in stem else 3 + int(module[-1])
    return f'features.{index}.{rest}'


def _mobilenet_key(key: str) -> str:
    parts = key.split('.')
    kind = {'conv': 0, 'bn': 1}[parts[-2]]
    if parts[0] in ('conv1', 'conv2'):
        unit = {'conv1': 'features.0.0', 'conv2': 'features.1'}[parts[0]]
        return f'{unit}.{kind}.{parts[-1]}'
    blocks_before = (0, 1, 3, 6, 10, 13, 16)[int(parts[0][-1]) - 1]
    block = 1 + blocks_before + int(parts[1])
    return f'features.0.{block}.conv.{3 * int(parts[3]) + kind}.{parts[-1]}'


def rule_tensor(key: str, like: Tensor, classifier_scale: float) -> Tensor:
    """The tensor that the rule gives to an authors' key."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    name, shape = key.rsplit('.', 1)[1], tuple(like.shape)
    if name == 'num_batches_tracked':
        return like
    if name == 'running_mean':
        value = random.normal(0, 0.1, shape)
    elif name == 'running_var':
        value = random.uniform(0.5, 1.5, shape)
    elif like.ndim == 1 and name == 'weight':
        value = random.uniform(0.5, 1.5, shape) * (0.25 if key.endswith('bn3.weight') else 1)
    elif like.ndim == 1:
        value = random.normal(0, 0.1, shape)
    else:
        value = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    if key == 'convclass.weight':
        value = value * classifier_scale
    return torch.from_numpy(value.astype(np.float32))


def load_rule_weights(model: nn.Module, classifier_scale: float) -> None:
    """Fill a model of ours with the rule-made weights."""
    state = model.state_dict()
    model.load_state_dict(
        {k: rule_tensor(author_key(k), v, classifier_scale) for k, v in state.items()}
    )
