"""Tensor functions of SCA-DNN against naive NumPy and values derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sca_references as naive
import torch

from mmmlc.ops.boxes import clip_boxes
from mmmlc.systems.sca.patches import (
    BRANCHES,
    best_scores,
    context_labels,
    expand_boxes,
    label_loss,
    location_loss,
    patch_loss,
    patch_scores,
)


def random_boxes(count: int, side: float = 100) -> torch.Tensor:
    corners = (torch.rand(count, 2, 2, dtype=torch.float64) * side).sort(1).values
    return corners.flatten(1)


@pytest.mark.parametrize('factor', [1, 1.5, 2, 3])
def test_expansion(factor):
    boxes = random_boxes(50)
    sizes = torch.rand(50, 2, dtype=torch.float64) * 60 + 60  # height, width
    expected = [
        naive.expand(*row)
        for row in zip(boxes.tolist(), [factor] * 50, sizes.flip(1).tolist(), strict=True)
    ]
    found = expand_boxes(boxes, factor, sizes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    batched = expand_boxes(boxes.view(5, 10, 4), factor, sizes.view(5, 10, 2))
    torch.testing.assert_close(batched.flatten(0, 1), found, rtol=0, atol=0)


def test_expansion_by_one_only_clips():
    boxes, size = random_boxes(20), torch.tensor([70.0, 80])
    torch.testing.assert_close(expand_boxes(boxes, 1, size), clip_boxes(boxes, size))
    outside = torch.tensor([[-5.0, -3, 90, 20]])
    assert clip_boxes(outside, size).tolist() == [[0, 0, 80, 20]]


def test_expansion_of_a_mirrored_box_is_mirrored():
    boxes, size = random_boxes(20), torch.tensor([90.0, 100])

    def mirror(x):
        return torch.stack((100 - x[:, 2], x[:, 1], 100 - x[:, 0], x[:, 3]), 1)

    expected = mirror(expand_boxes(boxes, 2.0, size))
    torch.testing.assert_close(expand_boxes(mirror(boxes), 2.0, size), expected)


def test_context_labels():
    contexts, images = random_boxes(60), torch.randint(3, (60,))
    boxes, box_images = random_boxes(25), torch.randint(3, (25,))
    labels = torch.randint(6, (25,))
    found = context_labels(contexts, images, boxes, box_images, labels, 6)
    arrays = (x.numpy() for x in (contexts, images, boxes, box_images, labels))
    np.testing.assert_array_equal(found, naive.context_labels(*arrays, 6))
    assert 0 < found.mean() < 1
    order = torch.randperm(25)
    shuffled = context_labels(contexts, images, boxes[order], box_images[order], labels[order], 6)
    torch.testing.assert_close(shuffled, found, rtol=0, atol=0)


def test_context_labels_at_the_edge_and_without_boxes():
    context, image = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0])
    boxes = torch.tensor([[5.0, 5, 15, 15], [6, 6, 15, 15], [0, 0, 4, 4]])
    box_images = torch.tensor([0, 0, 1])  # centre on the corner; beyond it; of another image
    labels = torch.tensor([1, 2, 3])
    assert context_labels(context, image, boxes, box_images, labels, 4).tolist() == [[0, 1, 0, 0]]
    nothing = context_labels(context, image, boxes[:0], box_images[:0], labels[:0], 4)
    assert nothing.tolist() == [[0, 0, 0, 0]]


def test_location_loss_by_hand():
    # Patch 1: |x| = 0.5, 2, 1, 0: 0.125 + 1.5 + 0.5 = 2.125. Patch 2: 4 * 0.5 * 0.2^2 = 0.08.
    # Patch 3 is no positive. Divided by all three patches.
    deltas = torch.tensor([[0.5, 2, -1, 0], [0.2, -0.2, 0.2, -0.2], [9, 9, 9, 9]])
    positive = torch.tensor([True, True, False])
    loss = location_loss(deltas, torch.zeros(3, 4), positive)
    assert loss.item() == pytest.approx((2.125 + 0.08) / 3, abs=1e-6)
    assert location_loss(deltas, torch.zeros(3, 4), ~positive * False).item() == 0
    assert location_loss(deltas[:0], torch.zeros(0, 4), positive[:0]).item() == 0


def test_patch_loss_by_hand():
    # Logit ln 3 is a confidence of 3/4: -ln(3/4) for an object, -ln(1/4) for none.
    logits = torch.full((2,), math.log(3))
    loss = patch_loss(logits, torch.tensor([True, False]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, abs=1e-6)


def test_label_loss_by_hand():
    # Patch 1: scores 1/2, 3/4 with labels 1, 0: ln 2 + ln 4. Patch 2: 1/2, 1/2: 2 ln 2.
    logits = torch.tensor([[0.0, math.log(3)], [0, 0]])
    targets = torch.tensor([[1, 0], [0, 1]])
    loss = label_loss(logits, targets)
    assert loss.item() == pytest.approx(5 * math.log(2) / 2, abs=1e-6)
    assert label_loss(logits[:0], targets[:0]).item() == 0


def test_label_loss_against_numpy():
    logits, targets = torch.randn(30, 7, dtype=torch.float64), torch.rand(30, 7) > 0.7
    expected = naive.cross_entropy(logits.numpy(), targets.numpy()).sum(1).mean()
    assert label_loss(logits, targets).item() == pytest.approx(expected, abs=1e-12)
    half = label_loss(logits.bfloat16(), targets)
    assert half.dtype == torch.float32 and half.item() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize('branch', BRANCHES)
def test_image_scores(branch):
    confidence, valid = torch.rand(3, 8).double(), torch.rand(3, 8) > 0.4
    objects, contexts = torch.rand(2, 3, 8, 5).double()
    valid[2] = False
    found = best_scores(patch_scores(confidence, objects, contexts, branch), valid)
    arrays = [x.numpy() for x in (confidence, objects, contexts)]
    np.testing.assert_allclose(
        found, naive.image_scores(*arrays, branch, valid.numpy()), rtol=1e-12
    )
    assert not found[2].any()


def test_image_scores_forget_the_order_of_patches():
    confidence, scores = torch.rand(2, 9), torch.rand(2, 9, 4)
    order = torch.randperm(9)
    first = best_scores(patch_scores(confidence, scores, scores.sqrt()))
    second = patch_scores(confidence[:, order], scores[:, order], scores.sqrt()[:, order])
    torch.testing.assert_close(best_scores(second), first, rtol=0, atol=0)


def test_a_branch_needs_only_its_own_scores():
    confidence, scores = torch.rand(2, 3), torch.rand(2, 3, 4)
    for branch, given in (('object', (scores, None)), ('context', (None, scores))):
        torch.testing.assert_close(
            patch_scores(confidence, *given, branch), confidence[..., None] * scores
        )
    with pytest.raises(ValueError, match="branch is 'all', expected one of 'both'"):
        patch_scores(confidence, scores, scores, 'all')
