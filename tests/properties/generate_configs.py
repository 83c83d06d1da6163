"""Configs with misspelt keys and values of wrong types: named, or the config as it was."""

from __future__ import annotations

import copy

from helpers.cases import generated, right_or_refused
from helpers.places import ROOT
from hypothesis import strategies as st
from mmengine.config import Config

from mmmlc.engine.check_config import check_config, check_overrides
from mmmlc.engine.downloads import split_hash
from mmmlc.engine.launch import load_config

NAMES = (
    'mcar/mcar_r18_toy',
    'rdal/rdal_r18_toy',
    'kd_wsd/distillation_r18_toy',
    'msdpd/msdpd_r18_toy',
)
CONFIGS = [load_config(ROOT / f'configs/{name}.py').to_dict() for name in NAMES]
TOP = ('train_dataloader', 'val_dataloader', 'test_evaluator', 'optim_wrapper', 'param_scheduler')
TOP += ('default_hooks', 'custom_hooks', 'load_from', 'randomness', 'train_cfg')
# Places with a class that takes these names and no other.
ARGUMENTS = [
    *[
        (key, name)
        for key in ('train_dataloader', 'val_dataloader')
        for name in ('batch_size', 'num_workers')
    ],
    *[('train_cfg', 'max_epochs'), ('randomness', 'seed'), ('optim_wrapper', 'clip_grad')],
    *[('model.head', 'threshold'), ('model.head', 'num_classes'), ('model', 'data_preprocessor')],
    *[('auto_scale_lr', 'base_batch_size'), ('test_dataloader', 'persistent_workers')],
]
WRONG = st.sampled_from(['half', True, None, float('nan'), [1], {'a': 1}, '0.5', 1 + 1j])


def _misspelt(draw, key: str) -> str:
    """One letter left out, doubled, swapped with the next, or another one."""
    place = draw(st.integers(1, len(key) - 2))
    how = draw(st.sampled_from(['drop', 'double', 'swap', 'change']))
    before, letter, after = key[:place], key[place], key[place + 1 :]
    if how == 'drop':
        return before + after
    if how == 'double':
        return before + 2 * letter + after
    if how == 'swap':
        return before + after[0] + letter + after[1:]
    return before + draw(st.sampled_from('aeioxq')) + after


@st.composite
def _mistakes(draw):
    number = draw(st.integers(0, len(CONFIGS) - 1))
    kind = draw(
        st.sampled_from(['none', 'top', 'top', 'argument', 'argument', 'value', 'override'])
    )
    key = draw(st.sampled_from(TOP))
    place, name = draw(st.sampled_from(ARGUMENTS))
    return number, kind, key, _misspelt(draw, key), place, name, _misspelt(draw, name), draw(WRONG)


def _inner(config: dict, place: str) -> dict | None:
    for key in place.split('.'):
        config = (config or {}).get(key)
    return config


@generated(_mistakes(), share=6)
def configs(case, folder):
    number, kind, key, typo, place, name, other, value = case
    config = copy.deepcopy(CONFIGS[number])
    expected = ''
    if kind == 'top' and typo not in config and config.get(key) is not None:
        config[typo] = {'x': 1} if key != 'load_from' else 'a.pth'
        expected = typo
    elif kind in ('argument', 'value') and isinstance(inner := _inner(config, place), dict):
        if kind == 'argument' and other != name:
            inner[other] = inner.pop(name, 1)
            expected = f'{place}.{other}'
        elif place == 'model.head' and name == 'threshold':
            inner[name] = value
            expected = f'{place}.{name} is'
    elif kind == 'override' and typo not in config:
        returned, _ = right_or_refused(
            lambda: check_overrides(Config(config), {typo: 1}), typo, errors=(ValueError,)
        )
        assert not returned
    returned, _ = right_or_refused(
        lambda: check_config(Config(config)), expected, errors=(ValueError,)
    )
    assert returned == (not expected), expected or 'a right config is refused'


ADDRESSES = st.from_regex(
    r'https://[a-z]{1,5}/[a-zA-Z0-9_/-]{0,20}(\.pth)?(#sha256=[0-9a-fg]{0,66})?', fullmatch=True
)


@generated(ADDRESSES, share=2)
def addresses(case, folder):
    returned, found = right_or_refused(lambda: split_hash(case), case, errors=(ValueError,))
    if returned:
        place, digits = found
        assert case in (place, f'{place}#sha256={digits}')
        assert digits == '' or 8 <= len(digits) <= 64 and set(digits) <= set('0123456789abcdef')
