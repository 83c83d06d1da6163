"""Proposal files, whole and damaged, and detections that become proposals."""

from __future__ import annotations

import json

import numpy as np
from helpers.cases import generated, right_or_refused
from hypothesis import strategies as st

from mmmlc.proposals.convert import convert, from_coco_json
from mmmlc.proposals.store import ImageProposals, ProposalStore, encode, write_store

NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())


@st.composite
def _stores(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    counts = [draw(st.integers(0, 4)) for _ in names]
    change = draw(st.sampled_from(['none', 'flip', 'flip', 'flip', 'cut', 'grow', 'zero', 'move']))
    return (
        names,
        counts,
        draw(st.integers(0, 2**32 - 1)),
        change,
        draw(st.floats(0, 1, exclude_max=True)),
        draw(st.integers(0, 7)),
    )


def _changed(good: bytes, change: str, where: float, bit: int) -> bytes:
    position = int(where * len(good))
    changed = bytearray(good)
    if change == 'flip':
        changed[position] ^= 1 << bit
    elif change == 'cut':
        del changed[position:]
    elif change == 'grow':
        changed[position:position] = bytes([bit])
    elif change == 'zero':
        changed[position : position + 16] = bytes(len(changed[position : position + 16]))
    elif change == 'move':
        changed[position:] = changed[position:][::-1]
    return bytes(changed)


@generated(_stores(), share=16)
def damaged_stores(case, folder):
    names, counts, seed, change, where, bit = case
    rng, path = np.random.default_rng(seed), folder / 'set.prop'
    blocks = [
        encode(np.sort(rng.random((n, 2, 2)), axis=1).reshape(n, 4), rng.normal(size=n))
        for n in counts
    ]
    images = [ImageProposals(name, 5, 7, n) for name, n in zip(names, counts, strict=True)]
    write_store(path, 'train', images, blocks, {})
    good = path.read_bytes()
    expected = {name: ProposalStore(path)[name] for name in names}
    bad = _changed(good, change, where, bit)
    path.write_bytes(bad)

    def read():
        store = ProposalStore(path)
        return {name: store[name] for name in store.names}

    returned, found = right_or_refused(read, 'set.prop', errors=(ValueError,))
    assert returned == (bad == good)
    if returned:
        assert [*found] == names
        for name, arrays in found.items():
            for one, other in zip(arrays, expected[name], strict=True):
                np.testing.assert_array_equal(one, other)


NUMBERS = st.one_of(
    st.integers(-20, 120),
    st.floats(-20, 120),
    st.sampled_from(
        [float('nan'), float('inf'), -float('inf'), 1e308, 10**400, -1, None, 'x', True, [], {}]
    ),
)
GOOD = st.fixed_dictionaries(
    dict(
        image_id=st.sampled_from([7, 9]), bbox=st.lists(st.integers(0, 120), min_size=4, max_size=4)
    ),
    optional=dict(score=st.floats(0, 1)),
)
BAD = st.fixed_dictionaries(
    dict(image_id=st.sampled_from([7, 9, 5, '7', None, [], 7.5])),
    optional=dict(bbox=st.lists(NUMBERS, min_size=3, max_size=5) | NUMBERS, score=NUMBERS),
)


@generated(st.lists(GOOD | BAD, max_size=3) | st.lists(GOOD, max_size=5) | NUMBERS, share=10)
def detection_files(case, folder):
    annotations, path = folder / 'ann.json', folder / 'found.json'
    images = [dict(id=i, file_name=f'{i}.jpg', width=100, height=50) for i in (7, 9)]
    annotations.write_text(json.dumps(dict(images=images, annotations=[], categories=[])))
    path.write_text(json.dumps(case))

    def made():
        convert(from_coco_json(path, annotations), folder / 'out.prop', folder, str(path))
        return ProposalStore(folder / 'out.prop')

    returned, store = right_or_refused(made, 'found.json', errors=(ValueError,))
    if not returned:
        return
    for image in images:
        boxes, scores = store[image['file_name']]
        mine = [entry for entry in case if entry['image_id'] == image['id']]
        assert len(boxes) <= len(mine)
        assert ((boxes >= 0) & (boxes <= 1)).all() and (boxes[:, :2] <= boxes[:, 2:]).all()
        given = [entry.get('score', 1.0) for entry in mine]
        assert all(np.isclose(score, given, atol=1e-6).any() for score in scores)
