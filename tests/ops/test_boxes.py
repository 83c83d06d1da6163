"""Changes of coordinates of boxes against plain loops, on arrays and tensors alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmmlc.ops.boxes import (
    Window,
    boxes_from_views,
    clip_boxes,
    crop_boxes,
    flip_boxes,
    from_voc,
    from_xywh,
    original_boxes,
    resize_boxes,
    to_fractions,
    to_pixels,
)

SIZE = (60, 90)  # height, width
KINDS = pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor], ids=['array', 'tensor'])


def random_fractions(count: int = 40) -> np.ndarray:
    """Boxes with x1 <= x2 and y1 <= y2."""
    return np.sort(np.random.rand(count, 2, 2), axis=1).reshape(count, 4)


def same(found, expected, kind) -> None:
    assert type(found) is type(kind(np.zeros(1)))
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-12)


@KINDS
def test_fractions_and_pixels(kind):
    boxes = random_fractions()
    pixels = [[x1 * 90, y1 * 60, x2 * 90, y2 * 60] for x1, y1, x2, y2 in boxes]
    same(to_pixels(kind(boxes), SIZE), pixels, kind)
    same(to_fractions(kind(np.array(pixels)), SIZE), boxes, kind)


@KINDS
def test_a_size_for_each_box(kind):
    boxes, sizes = random_fractions(7), np.random.randint(10, 90, (7, 2))
    expected = [
        to_pixels(box, tuple(size)) for box, size in zip(boxes, sizes.tolist(), strict=True)
    ]
    same(to_pixels(kind(boxes), kind(sizes)), expected, kind)
    same(clip_boxes(kind(boxes * 99), kind(sizes)), expected_clip(boxes * 99, sizes), kind)


def expected_clip(boxes, sizes):
    return [
        [min(max(v, 0), side) for v, side in zip(box, (w, h, w, h), strict=True)]
        for box, (h, w) in zip(boxes.tolist(), sizes.tolist(), strict=True)
    ]


@KINDS
def test_resizing(kind):
    boxes = random_fractions() * [90, 60, 90, 60]
    resized = [[x1 / 3, y1 * 2, x2 / 3, y2 * 2] for x1, y1, x2, y2 in boxes]
    same(resize_boxes(kind(boxes), SIZE, (120, 30)), resized, kind)
    sizes = kind([[60, 90], [30, 45]] * 20)
    found = resize_boxes(kind(boxes), SIZE, sizes)
    np.testing.assert_allclose(np.asarray(found)[1::2], boxes[1::2] / 2, rtol=0, atol=1e-12)


def test_whole_pixels_stay_whole_where_the_size_stays():
    """By way of fractions some would be off by a rounding, as the last lines show."""
    boxes = torch.arange(100.0).view(25, 4)
    for side in range(1, 500):
        assert torch.equal(resize_boxes(boxes, (side, side), (side, side)), boxes)
    moved = to_pixels(to_fractions(boxes, (448, 403)), (448, 403)) != boxes
    assert moved.any()


@KINDS
@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_types_stay(kind, dtype):
    boxes = kind(random_fractions().astype(dtype))
    results = (
        to_pixels(boxes, SIZE),
        to_fractions(boxes, np.array(SIZE)),
        clip_boxes(boxes),
        flip_boxes(boxes, 'diagonal', SIZE),
        crop_boxes(boxes, SIZE, Window(1, 2, 30, 40))[0],
        from_xywh(boxes),
    )
    assert all(found.dtype == boxes.dtype for found in results)


@KINDS
def test_other_formats(kind):
    boxes = np.random.randint(1, 50, (20, 4))
    same(from_xywh(kind(boxes)), [[x, y, x + w, y + h] for x, y, w, h in boxes.tolist()], kind)
    same(from_voc(kind(boxes)), [[a - 1, b - 1, c, d] for a, b, c, d in boxes.tolist()], kind)


@KINDS
@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal', None])
def test_flips_move_boxes_with_the_pixels(kind, direction):
    """The pixels that a box holds are those that it holds in the mirrored image."""
    axes = {'horizontal': [1], 'vertical': [0], 'diagonal': [0, 1], None: []}[direction]
    for box in np.random.randint(0, 30, (10, 4)) + [0, 0, 31, 31]:
        image = np.random.rand(*SIZE)
        x1, y1, x2, y2 = box
        inside = np.flip(image[y1:y2, x1:x2], axes)
        x1, y1, x2, y2 = np.asarray(flip_boxes(kind(box.astype(float)), direction, SIZE)).astype(
            int
        )
        np.testing.assert_array_equal(np.flip(image, axes)[y1:y2, x1:x2], inside)


@KINDS
def test_two_flips_are_none(kind):
    boxes = random_fractions()
    for direction in ('horizontal', 'vertical', 'diagonal'):
        same(flip_boxes(flip_boxes(kind(boxes), direction), direction), boxes, kind)
    both = flip_boxes(flip_boxes(kind(boxes), 'horizontal'), 'vertical')
    same(flip_boxes(kind(boxes), 'diagonal'), both, kind)


def test_unknown_direction():
    with pytest.raises(ValueError, match="direction is 'left', expected one of .*'diagonal'"):
        flip_boxes(random_fractions(), 'left')


@KINDS
def test_crops(kind):
    boxes, window = random_fractions(200), Window(10, 20, 25, 40)
    found, inside = crop_boxes(kind(boxes), SIZE, window)
    for box, new, there in zip(boxes, np.asarray(found), np.asarray(inside), strict=True):
        x1, y1, x2, y2 = box * [90, 60, 90, 60] - [20, 10, 20, 10]
        assert there == (x1 < 40 - 0.05 and y1 < 25 - 0.05 and x2 > 0.05 and y2 > 0.05)
        expected = np.clip([x1 / 40, y1 / 25, x2 / 40, y2 / 25], 0, 1)
        np.testing.assert_allclose(new, expected, rtol=0, atol=1e-12)
    assert 0 < np.asarray(inside).sum() < 200


def test_what_ends_where_the_window_begins_is_outside():
    # As fractions in 32 bits 20 / 90 is a little more.
    boxes = np.array([[0, 0, 20 / 90, 1], [60 / 90, 0, 1, 1]], np.float32)
    assert not crop_boxes(boxes, SIZE, Window(0, 20, 60, 40))[1].any()


def test_a_crop_of_everything_changes_nothing():
    boxes = random_fractions()
    found, inside = crop_boxes(boxes, SIZE, Window(0, 0, *SIZE))
    same(found, boxes, np.asarray)
    assert inside.all()


@pytest.mark.parametrize('mirrored', [False, True])
def test_views(mirrored):
    boxes = torch.from_numpy(random_fractions(6) * 40).view(2, 3, 4)
    views = torch.tensor([[10.0, 5, 50, 45], [0, 0, 40, 40]], dtype=torch.float64)
    found = boxes_from_views(boxes, views, torch.tensor([mirrored, False]))
    for v, flip in enumerate((mirrored, False)):
        for box, new in zip(boxes[v], found[v], strict=True):
            box = flip_boxes(box, 'horizontal' if flip else None, (40, 40))
            torch.testing.assert_close(new, box + views[v, :2].repeat(2))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal', None])
def test_the_way_back(direction):
    """Resized, then mirrored as mmcv's transforms do it, and padded by the batch."""
    boxes = random_fractions()
    ori, shape = (120, 200), (60, 90)
    meta = dict(ori_shape=ori, img_shape=shape, scale_factor=(90 / 200, 60 / 120))
    meta |= dict(flip=direction is not None, flip_direction=direction)
    seen = to_pixels(flip_boxes(torch.from_numpy(boxes), direction), shape)
    found = original_boxes(seen, DataSample(metainfo=meta))
    expected = boxes * [200, 120, 200, 120]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-4)
    beyond = original_boxes(torch.tensor([[-9.0, -9, 999, 999]]), DataSample(metainfo=meta))
    assert beyond.tolist() == [[0, 0, 200, 120]]


@pytest.mark.parametrize(
    'meta',
    [
        {},
        dict(ori_shape=(120, 200)),
        dict(ori_shape=(120, 200), img_shape=(60, 90)),  # a crop
        dict(ori_shape=(120, 200), img_shape=(60, 90), scale_factor=(0.5, 0.5)),  # and a resize
    ],
)
def test_no_way_back(meta):
    assert original_boxes(torch.rand(3, 4), DataSample(metainfo=meta)) is None
