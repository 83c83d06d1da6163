"""Operations of weakly supervised detection against naive NumPy, torch's own and torchvision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import wsddn_references as reference
from torchvision.ops import nms

from mmmlc.ops.nms import detect, keep_proposals
from mmmlc.systems.kd_wsd.weak_detection import (
    image_loss,
    image_scores,
    objectness,
    pool_regions,
    region_scores,
    spatial_regulariser,
)

CLOSE = dict(atol=1e-5, rtol=1e-5)
B, R, C = 3, 12, 5


def random_boxes(images: int, regions: int, width: float, height: float) -> torch.Tensor:
    corners = torch.rand(images, regions, 2, 2).sort(dim=2).values
    return (corners * torch.tensor([width, height])).flatten(2)


def random_logits() -> tuple[torch.Tensor, torch.Tensor]:
    return 3 * torch.randn(B, R, C), 3 * torch.randn(B, R, C)


def random_valid() -> torch.Tensor:
    return torch.arange(R) < torch.tensor([[12], [7], [1]])


def near(tensor: torch.Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(tensor, torch.from_numpy(np.asarray(expected)).float(), **CLOSE)


@pytest.mark.parametrize('size', [1, 2, 7])
def test_pool_regions(size):
    """Maps of 6 x 9 cells of an input of 48 x 90: the two directions have different strides."""
    maps, boxes = torch.randn(2, 4, 6, 9), random_boxes(2, R, 90, 48)
    boxes[0, 0] = torch.tensor([0.0, 0.0, 90.0, 48.0])
    boxes[0, 1] = 0  # padding
    pooled = pool_regions(maps, boxes, (48, 90), size)
    assert pooled.shape == (2, R, 4, size, size)
    cells = boxes.numpy() * np.array([0.1, 0.125] * 2, np.float32)
    for n in range(2):
        near(pooled[n], reference.roi_pool(maps[n].numpy(), cells[n], size))


def test_pool_regions_at_two_scales():
    """A map of half the size, each of its cells four of the other's, pools the same maxima."""
    small = torch.randn(1, 3, 4, 4)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    boxes = torch.tensor([[[0.0, 0.0, 31.0, 31.0], [17.0, 0.0, 31.0, 15.0]]])
    torch.testing.assert_close(
        pool_regions(small, boxes, (32, 32), 1), pool_regions(large, boxes, (32, 32), 1)
    )


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('softened', [False, True])
def test_region_scores(masked, softened):
    logits = random_logits()
    valid = random_valid() if masked else None
    temperatures = (torch.rand(C) + 0.5, torch.rand(R) + 0.5) if softened else (None, None)
    scores = region_scores(*logits, valid, *temperatures)
    for n in range(B):
        numpy = [None if t is None else t.numpy() for t in temperatures]
        mask = valid[n].numpy() if masked else None
        expected = reference.region_scores(*(x[n].numpy() for x in logits), mask, *numpy)
        near(scores[n], expected)
        near(image_scores(scores)[n], expected.sum(0))
        near(objectness(scores)[n], expected.sum(1))
    assert (image_scores(scores) < 1 + 1e-6).all()
    # Each class gives away its share of 1 to the regions.
    assert (objectness(scores).sum(1) <= C + 1e-5).all()


def test_class_without_competition():
    """One class: its softmax is 1, and so is the image score."""
    scores = region_scores(torch.randn(2, R, 1), torch.randn(2, R, 1))
    torch.testing.assert_close(image_scores(scores), torch.ones(2, 1))


def test_padding_against_recycling():
    """Padding changes nothing; recycling does, unless each proposal is there as often."""
    logits = random_logits()
    few = [x[:, :4] for x in logits]
    alone = image_scores(region_scores(*few))
    valid = (torch.arange(R) < 4).expand(B, R)
    padded = region_scores(*logits, valid)
    assert (padded[:, 4:] == 0).all()
    torch.testing.assert_close(image_scores(padded), alone)
    twice = [torch.cat((x, x), 1) for x in few]
    torch.testing.assert_close(image_scores(region_scores(*twice)), alone)
    uneven = region_scores(*(torch.cat((x, x[:, :2]), 1) for x in few))
    assert (image_scores(uneven) - alone).abs().max() > 0.01
    counted = [reference.region_scores(*(x[n].numpy() for x in few)) for n in range(B)]
    # exp(m) twice in the sum over proposals is exp(m + ln 2) once.
    few[1] = few[1] + torch.tensor([2.0, 2.0, 1.0, 1.0]).log()[:, None]
    torch.testing.assert_close(image_scores(uneven), image_scores(region_scores(*few)))
    near(alone, np.stack(counted).sum(1))


def test_no_valid_proposal():
    logits = [x.requires_grad_() for x in random_logits()]
    valid = random_valid().clone()
    valid[1] = False
    scores = image_scores(region_scores(*logits, valid))
    assert (scores[1] == 0).all()
    image_loss(scores, torch.ones(B, C)).backward()
    assert all(x.grad.isfinite().all() for x in logits)


def test_order_of_proposals_is_free():
    logits, order = random_logits(), torch.randperm(R)
    torch.testing.assert_close(
        region_scores(*(x[:, order] for x in logits)), region_scores(*logits)[:, order]
    )


@pytest.mark.parametrize('clamp', [1e-4, 1e-6])
def test_image_loss(clamp):
    scores = torch.rand(B, C)
    scores[0, :2] = torch.tensor([0.0, 1.0 + 1e-7])  # a sum can exceed 1 by rounding
    targets, valid = torch.randint(2, (B, C)), torch.rand(B, C) > 0.3
    targets[0, :2], valid[0, :2] = torch.tensor([1, 0]), True
    loss = image_loss(scores, targets, valid, clamp)
    expected = float(reference.image_loss(scores.double().numpy(), targets, valid, clamp))
    # 1 - clamp of the largest score is rounded to float32: ln(1e-6) is off by up to 0.06.
    torch.testing.assert_close(loss.item(), expected, atol=0.07 / B, rtol=1e-5)
    inner = scores.clamp(0.01, 0.99)
    torch.testing.assert_close(
        image_loss(inner, targets, valid, clamp).item(),
        float(reference.image_loss(inner.double().numpy(), targets, valid, clamp)),
        **CLOSE,
    )
    own = F.binary_cross_entropy(inner, targets.float(), reduction='sum') / B
    torch.testing.assert_close(image_loss(inner, targets), own, **CLOSE)


def test_image_loss_by_hand():
    """- ln(1/2) - ln(1 - 1/4) for the first image, - ln(1/4) - ln(3/4) for the second, halved."""
    scores = torch.tensor([[0.5, 0.25], [0.25, 0.75]])
    targets = torch.tensor([[1, 0], [1, 1]])
    expected = -(math.log(1 / 2) + 2 * math.log(3 / 4) + math.log(1 / 4)) / 2
    assert image_loss(scores, targets).item() == pytest.approx(expected, abs=1e-6)


def test_image_loss_learns_what_is_below_the_clamp():
    scores = torch.tensor([[1e-9, 1e-9, 1.0]], requires_grad=True)
    image_loss(scores, torch.tensor([[1, 0, 0]]), clamp=1e-4).backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[-1e4, 1.0, 1e4]]), atol=10, rtol=1e-2)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    """Logits far apart; what comes out is what float32 makes of the same numbers."""
    logits = [(2 * x).to(dtype).requires_grad_() for x in random_logits()]
    full = [x.detach().float().requires_grad_() for x in logits]
    targets = torch.randint(2, (B, C))
    for values in (logits, full):
        scores = region_scores(*values, random_valid())
        assert scores.dtype == torch.float32
        image_loss(image_scores(scores), targets).backward()
    for x, y in zip(logits, full, strict=True):
        assert x.grad.isfinite().all() and (x.grad != 0).any()
        torch.testing.assert_close(x.grad, y.grad.to(dtype))


def test_gradients():
    """Of pooling, scores and loss, temperatures included, against finite differences."""

    def total(maps, weight, class_temperature, detection_temperature):
        boxes = torch.tensor(
            [[[0.0, 0.0, 31.0, 31.0], [9.0, 9.0, 20.0, 31.0], [0.0, 9.0, 9.0, 30]]]
        )
        vectors = pool_regions(maps, boxes, (32, 32), 2).flatten(2) @ weight
        scores = region_scores(
            vectors[..., :2],
            vectors[..., 2:],
            torch.tensor([[True, True, False]]),
            class_temperature,
            detection_temperature,
        )
        return image_loss(image_scores(scores), torch.tensor([[1.0, 0.0]]))

    maps = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    temperatures = [torch.rand(n, dtype=torch.float64) + 0.5 for n in (2, 3)]
    assert torch.autograd.gradcheck(
        total, (maps, weight, *(t.requires_grad_() for t in temperatures))
    )


def test_spatial_regulariser():
    scores, vectors = torch.rand(B, R, C, requires_grad=True), torch.randn(B, R, 6)
    boxes = (
        random_boxes(B, 1, 40, 40) + torch.tensor([0.0, 0.0, 20.0, 20.0]) + torch.rand(B, R, 4) * 9
    )
    targets = torch.tensor([[1, 0, 1, 0, 0], [0] * 5, [0, 1, 1, 1, 1]])
    vectors.requires_grad_()
    for top in (4, 100):
        penalty = spatial_regulariser(scores, vectors, boxes, targets, 0.6, top)
        arrays = (x.detach().numpy() for x in (scores, vectors, boxes, targets))
        expected = reference.spatial_regulariser(*arrays, 0.6, top)
        assert expected > 0.1
        torch.testing.assert_close(penalty.item(), expected, **CLOSE)
    penalty.backward()
    assert scores.grad is None
    assert vectors.grad[[0, 2]].isfinite().all() and (vectors.grad[1] == 0).all()
    assert spatial_regulariser(scores, vectors, boxes, torch.zeros(B, C)).item() == 0


@pytest.mark.parametrize('masked', [False, True])
def test_keep_proposals(masked):
    boxes, scores = random_boxes(B, 40, 99, 60), torch.rand(B, 40)
    valid = torch.rand(B, 40) > 0.4 if masked else None
    scores = scores if valid is None else scores * valid
    kept = keep_proposals(boxes, scores, valid, iou=0.4, top=35)
    assert kept.shape == (B, 35)
    for n in range(B):
        mask = np.ones(40, bool) if valid is None else valid[n].numpy()
        regions = np.flatnonzero(mask)
        chosen = reference.nms(boxes[n, regions].numpy(), scores[n, regions].numpy(), 0.4)
        expected = regions[chosen]
        assert 1 < len(expected) < 35
        assert kept[n].tolist() == [expected[i % len(expected)] for i in range(35)]
        own = nms(boxes[n, regions], scores[n, regions], 0.4)
        assert regions[own].tolist() == expected.tolist()
        alone = (None if x is None else x[n : n + 1] for x in (boxes, scores, valid))
        assert keep_proposals(*alone, top=35)[0].tolist() == kept[n].tolist()
        few = keep_proposals(boxes, scores, valid, top=2)
        assert few[n].tolist() == expected[:2].tolist()


def test_keep_proposals_drops_recycled():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30]]]).repeat(1, 3, 1)
    scores = torch.tensor([[0.1, 0.3]]).repeat(1, 3)
    assert set(keep_proposals(boxes, scores, top=4)[0, ::2].tolist()) <= {1, 3, 5}
    assert set(keep_proposals(boxes, scores, top=4)[0, 1::2].tolist()) <= {0, 2, 4}


@pytest.mark.parametrize('regions', [40, 400])  # torchvision takes another way for many boxes
def test_detect(regions):
    boxes = random_boxes(B, regions, 99, 60)
    scores = region_scores(torch.randn(B, regions, C), 3 * torch.randn(B, regions, C))
    options = dict(iou=0.4, min_score=1e-3, top=30)
    found = detect(scores, boxes, **options, candidates=10_000)
    parts = [x.split(found.counts.tolist()) for x in found[:3]]
    for n, (own_boxes, own_scores, labels) in enumerate(zip(*parts, strict=True)):
        expected = reference.detections(scores[n].numpy(), boxes[n].numpy(), 0.4, 1e-3, 30)
        near(own_scores, [score for score, _, _ in expected])
        assert labels.tolist() == [k for _, k, _ in expected]
        torch.testing.assert_close(own_boxes, boxes[n, [r for _, _, r in expected]])
        alone = detect(scores[n : n + 1], boxes[n : n + 1], **options, candidates=10_000)
        torch.testing.assert_close(alone.boxes, own_boxes)
    # Fewer candidates change nothing as long as enough detections are left.
    assert found.counts.tolist() == [30] * B
    torch.testing.assert_close(detect(scores, boxes, **options, candidates=150), found)


def test_detect_class_by_class():
    """The same boxes as torchvision's suppression of each class by itself."""
    boxes = random_boxes(1, 60, 99, 60)
    scores = region_scores(torch.randn(1, 60, C), 3 * torch.randn(1, 60, C))
    found = detect(scores, boxes, min_score=0, top=1000)
    for k in range(C):
        own = boxes[0, nms(boxes[0], scores[0, :, k], 0.4)]
        torch.testing.assert_close(found.boxes[found.labels == k], own)


def test_detect_keeps_the_best_of_each_class():
    """Of ten regions apart, class 0 has nine that beat class 1; what scores 0 is never detected."""
    left = torch.arange(0.0, 100.0, 10)
    boxes = torch.stack((left, left * 0, left + 8, left * 0 + 8), 1)[None].repeat(2, 1, 1)
    scores = torch.zeros(2, 10, 3)
    scores[0, :, 0] = torch.linspace(0.9, 0.1, 10)
    scores[0, 4, 1] = 1e-4
    scores[1, 2, 2] = 1e-5
    found = detect(scores, boxes, min_score=1e-3, top=5)
    assert found.counts.tolist() == [5, 1]
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 2]
    torch.testing.assert_close(found.boxes, torch.cat((boxes[0, [0, 1, 2, 3, 4]], boxes[1, [2]])))
    nothing = detect(scores[:1] * 0, boxes[:1])
    assert nothing.boxes.shape == (0, 4) and nothing.counts.tolist() == [0]


def test_compiles():
    def scores(maps, boxes, weight):
        vectors = pool_regions(maps, boxes, (32, 32), 2).flatten(2) @ weight
        return image_scores(region_scores(vectors[..., :C], vectors[..., C:], torch.ones(2, R) > 0))

    arguments = torch.randn(2, 3, 4, 4), random_boxes(2, R, 32, 32), torch.randn(12, 2 * C)
    compiled = torch.compile(scores, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(*arguments), scores(*arguments))
