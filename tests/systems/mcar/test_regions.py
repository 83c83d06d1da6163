"""Regions of MCAR against the authors' outputs and against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.places import DATA
from region_references import INTERVALS, box_of_map, crop_and_resize

from mmmlc.systems.mcar.regions import (
    attention_boxes,
    crop_regions,
    normalise_profiles,
    peak_intervals,
    select_classes,
)


def smooth_maps(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).sigmoid()


@pytest.mark.parametrize('n', [32, 224, 256, 448])
def test_intervals_are_the_authors(n):
    data = np.load(DATA / 'mcar_intervals.npz')
    profiles = torch.from_numpy(data[f'profile_{n}'])
    tau = torch.from_numpy(data[f'threshold_{n}'])[:, None]
    got = torch.stack(peak_intervals(profiles, tau, 'authors'), dim=-1)
    np.testing.assert_array_equal(got.numpy(), data[f'interval_{n}'])


@pytest.mark.parametrize('rule', ['authors', 'paper'])
@pytest.mark.parametrize('tau', [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize('n', [1, 2, 7, 8, 9, 40])
def test_intervals_match_a_naive_loop(rule, tau, n):
    # Few distinct values: plateaus, several equal maxima and values exactly at tau all occur.
    profiles = np.random.default_rng(n).integers(0, 5, (300, n)).astype(np.float32) / 4
    start, end = peak_intervals(torch.from_numpy(profiles), tau, rule)
    expected = [INTERVALS[rule](p, tau) for p in profiles]
    assert list(zip(start.tolist(), end.tolist(), strict=True)) == expected


def test_paper_rule_by_hand():
    profile = torch.tensor([0.1, 1.0, 0.2, 0.7, 0.7, 0.7, 0.2, 0.6, 1.0, 0.0])
    # Above 0.5: [1, 2), [3, 6) without the maximum 1.0, and [7, 9): the widest that holds it.
    assert peak_intervals(profile, 0.5, 'paper') == (7, 9)
    # tau 0 is the whole image in the paper, the middle three quarters in the released code.
    assert peak_intervals(profile, 0.0, 'paper') == (0, 10)
    assert peak_intervals(profile, 0.0, 'authors') == (2, 9)
    # Nothing reaches tau: no interval solves Eq. 7.
    assert peak_intervals(profile / 4, 0.5, 'paper') == (0, 10)


def test_intervals_keep_leading_dimensions():
    profiles = torch.rand(2, 3, 4, 20)
    start, end = peak_intervals(profiles)
    assert start.shape == end.shape == (2, 3, 4)
    one_by_one = [peak_intervals(p) for p in profiles.flatten(0, 2)]
    assert start.flatten().tolist() == [int(a) for a, _ in one_by_one]
    assert end.flatten().tolist() == [int(b) for _, b in one_by_one]


def test_constant_profile_is_the_middle_or_the_whole():
    flat = normalise_profiles(torch.full((2, 16), 0.3))
    assert flat.eq(1).all()
    assert [x.tolist() for x in peak_intervals(flat, 0.5, 'authors')] == [[2, 2], [14, 14]]
    assert [x.tolist() for x in peak_intervals(flat, 0.5, 'paper')] == [[0, 0], [16, 16]]


@pytest.mark.parametrize('rule', ['authors', 'paper'])
@pytest.mark.parametrize('size', [(64, 64), (48, 80)])
def test_boxes_match_a_loop_over_full_size_maps(rule, size):
    maps = smooth_maps(5, 3, 4, 5)
    got = attention_boxes(maps, size, 0.5, rule)
    expected = [[box_of_map(m, size, 0.5, rule) for m in image] for image in maps]
    assert got.tolist() == expected


def test_boxes_mirror_with_the_map():
    # 49 = 6 * 8 + 1: the weights of the upsampling are eighths, so that mirroring is exact.
    maps = (smooth_maps(8, 4, 7, 7) * 256).round() / 256
    x1, y1, x2, y2 = attention_boxes(maps, (49, 49), rule='paper').unbind(-1)
    mirrored = attention_boxes(maps.flip(-1), (49, 49), rule='paper')
    assert torch.equal(mirrored, torch.stack((49 - x2, y1, 49 - x1, y2), dim=-1))


def test_boxes_of_a_permuted_batch_are_permuted():
    maps = smooth_maps(6, 2, 7, 7)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    boxes = attention_boxes(maps, (32, 32))
    assert torch.equal(attention_boxes(maps[order], (32, 32)), boxes[order])
    assert torch.equal(attention_boxes(torch.cat((maps, maps)), (32, 32))[6:], boxes)


@pytest.mark.parametrize('rule', ['authors', 'paper'])
def test_boxes_lie_in_the_image_and_hold_pixels(rule):
    x1, y1, x2, y2 = attention_boxes(smooth_maps(50, 4, 7, 7), (40, 60), rule=rule).unbind(-1)
    assert ((x1 >= 0) & (x1 < x2) & (x2 <= 60)).all()
    assert ((y1 >= 0) & (y1 < y2) & (y2 <= 40)).all()


@pytest.mark.parametrize('size', [None, (24, 40)])
def test_crops_match_torch_interpolation(size):
    images = torch.rand(2, 3, 32, 48)
    boxes = torch.tensor(
        [
            [[0, 0, 48, 32], [5, 3, 20, 30], [47, 31, 48, 32]],
            [[10, 0, 11, 32], [0, 31, 48, 32], [40, 20, 48, 32]],
        ]
    )
    crops = crop_regions(images, boxes, size)
    for image, row, got in zip(images, boxes.tolist(), crops, strict=True):
        expected = torch.stack([crop_and_resize(image, box, size or (32, 48)) for box in row])
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_whole_image_crop_is_the_image():
    images = torch.rand(2, 3, 17, 23)
    whole = torch.tensor([0, 0, 23, 17]).expand(2, 1, 4)
    torch.testing.assert_close(crop_regions(images, whole)[:, 0], images)


def test_selection():
    scores = torch.tensor([[0.3, 0.9, 0.3, 0.1], [0.2, 0.2, 0.2, 0.2]])
    assert select_classes(scores, 2).tolist() == [[1, 0], [0, 1]]  # ties: the lower index
    assert select_classes(scores, 2, 'bottom').tolist() == [[3, 0], [0, 1]]
    assert select_classes(scores, 9).shape == (2, 4)
    torch.manual_seed(0)
    drawn = select_classes(scores[:1].expand(2000, 4), 2, 'random')
    assert (drawn[:, 0] != drawn[:, 1]).all()
    # Every class equally often: 2000 * 2 / 4 = 1000, standard deviation about 22.
    assert (drawn.flatten().bincount() - 1000).abs().max() < 120


def test_no_host_synchronisation():
    """Meta tensors have no values: any ``.item()`` or branch on a value raises."""
    scores = torch.empty(2, 20, device='meta')
    maps = torch.empty(2, 4, 7, 7, device='meta')
    images = torch.empty(2, 3, 64, 64, device='meta')
    assert select_classes(scores, 4).shape == (2, 4)
    boxes = attention_boxes(maps, (64, 64))
    assert crop_regions(images, boxes).shape == (2, 4, 3, 64, 64)


def test_compiles_to_one_graph():
    def regions(maps, images):
        boxes = attention_boxes(maps, (32, 32))
        return boxes, crop_regions(images, boxes)

    maps, images = smooth_maps(2, 3, 4, 4), torch.rand(2, 3, 32, 32)
    compiled = torch.compile(regions, backend='aot_eager', fullgraph=True)
    for got, expected in zip(compiled(maps, images), regions(maps, images), strict=True):
        torch.testing.assert_close(got, expected)


def test_half_precision_maps_give_float32_marginals():
    maps = smooth_maps(3, 2, 5, 5).bfloat16()
    assert torch.equal(attention_boxes(maps, (40, 40)), attention_boxes(maps.float(), (40, 40)))


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: peak_intervals(torch.rand(3), 1.0), 'tau is 1.0, expected a threshold in'),
        (lambda: peak_intervals(torch.rand(3), -0.1), 'tau is -0.1'),
        (lambda: peak_intervals(torch.rand(3), 0.5, 'other'), "rule is 'other', expected one of"),
        (lambda: peak_intervals(torch.rand(3, 0)), r'shape \(3, 0\)'),
        (lambda: select_classes(torch.rand(1, 3), 2, 'best'), "selection is 'best'"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
