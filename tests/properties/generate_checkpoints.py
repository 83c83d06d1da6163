"""Checkpoints: whole, cut, with flipped bits, of other types, and such that want to run code."""

from __future__ import annotations

import pickle
import shutil
import warnings

import torch
from helpers.cases import generated, right_or_refused
from helpers.hostile import call_by_getattr, plain_call
from hypothesis import strategies as st

from mmmlc.engine.checkpoints import load_checkpoint_file

WEIGHTS = torch.arange(40, dtype=torch.float32).reshape(5, 8)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.just(WEIGHTS),
    st.just(torch.zeros(0)),
    st.just(torch.ones(3).half()),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def _files(draw):
    content = draw(st.sampled_from(['good', 'good', 'good', 'tree', 'plain', 'getattr']))
    change = draw(
        st.sampled_from(['none', 'flip', 'flip', 'cut', 'zero', 'old', 'pickle', 'noise'])
    )
    tree = draw(TREES) if content == 'tree' else None
    return content, tree, change, draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(0, 7))


def _same(one, other):
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def _write(path, content, change, where, bit):
    """Whether the file is as it was written."""
    if change == 'pickle':
        path.write_bytes(pickle.dumps(content))
        return False
    torch.save(content, path, _use_new_zipfile_serialization=change != 'old')
    good = path.read_bytes()
    bad, position = bytearray(good), int(where * len(good))
    if change == 'flip':
        bad[position] ^= 1 << bit
    elif change == 'cut':
        del bad[position:]
    elif change == 'zero':
        bad[position : position + 64] = bytes(len(bad[position : position + 64]))
    elif change == 'noise':
        bad[:] = bytes((position * 7 + i * (bit + 1)) % 256 for i in range(100))
    path.write_bytes(bad)
    return bad == good


@generated(_files(), share=8)
def checkpoints(case, folder):
    kind, tree, change, where, bit = case
    mark, path = folder / 'mark', folder / 'a.pth'
    shutil.rmtree(mark, ignore_errors=True)
    content = dict(state_dict=dict(weight=WEIGHTS, bias=torch.ones(3)), meta=dict(epoch=3, iter=7))
    if kind == 'tree':
        content = tree
    elif kind != 'good':
        make = plain_call if kind == 'plain' else call_by_getattr
        content = dict(state_dict={}, meta=dict(extra=make(mark)))
    whole = _write(path, content, change, where, bit)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        returned, found = right_or_refused(
            lambda: load_checkpoint_file(path), 'a.pth', errors=(ValueError,)
        )
    assert not mark.exists()
    if kind in ('plain', 'getattr'):
        assert not returned or not whole
        return
    if returned and (whole or change in ('old', 'flip', 'zero')):
        assert _same(content, found), f'{change} at {where}: another content'
    if whole and kind == 'good':
        assert returned
