"""Losses against the papers' formulas in NumPy, torch's own losses and mmpretrain's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.processes import as_group
from mmpretrain.models import AsymmetricLoss as MMPretrainAsymmetricLoss

from mmmlc.ops.losses import AsymmetricLoss, MultiLabelBCELoss

B, C = 6, 5
BOTH = [MultiLabelBCELoss, AsymmetricLoss]


def make():
    logits = 3 * torch.randn(B, C)
    return logits, (torch.rand(B, C) < 0.4).float(), torch.rand(B, C) < 0.7


def asymmetric(logits, targets, gamma_pos, gamma_neg, clip):
    """Eq. 1, 3, 5 and 7 of the paper, in float64."""
    x, y = logits.double().numpy(), targets.double().numpy()
    p = 1 / (1 + np.exp(-x))
    shifted = np.maximum(p - clip, 0)
    positive = -((1 - p) ** gamma_pos) * np.log(p)
    return y * positive - (1 - y) * shifted**gamma_neg * np.log(1 - shifted)


@pytest.mark.parametrize('clip', [0.0, 0.05, 0.3])
@pytest.mark.parametrize('gammas', [(0, 4), (1, 4), (0, 0), (2.5, 0.5)])
@pytest.mark.parametrize('reduction', ['mean', 'sum'])
def test_asymmetric_loss_is_the_formula(gammas, clip, reduction):
    logits, targets, valid = make()
    expected = asymmetric(logits, targets, *gammas, clip)
    loss = AsymmetricLoss(*gammas, clip, reduction=reduction)
    reduce = getattr(np, reduction)
    np.testing.assert_allclose(loss(logits, targets), reduce(expected), rtol=2e-6)
    kept = expected[valid.numpy()]
    np.testing.assert_allclose(loss(logits, targets, valid), reduce(kept), rtol=2e-6)


def test_asymmetric_loss_by_hand():
    # Score 1/2 (logit 0): a positive costs ln 2; a negative, clipped to 0.5 - 0.1 = 0.4,
    # costs -0.4^2 ln 0.6.
    loss = AsymmetricLoss(gamma_pos=0, gamma_neg=2, clip=0.1, reduction='sum', weight=3)
    value = loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))
    assert value.item() == pytest.approx(3 * (math.log(2) - 0.16 * math.log(0.6)))


@pytest.mark.parametrize('gammas', [(0, 4), (1, 2)])
def test_asymmetric_loss_is_mmpretrains(gammas):
    """The value and, with labels 0 and 1 and moderate scores, the gradient."""
    logits, targets, _ = make()
    gradients = []
    for loss in (AsymmetricLoss(*gammas), MMPretrainAsymmetricLoss(*gammas)):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf, targets)
        value.backward()
        gradients.append((value.detach(), leaf.grad))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-7)


def test_asymmetric_loss_without_focus_is_cross_entropy():
    logits, targets, valid = make()
    loss = AsymmetricLoss(0, 0, 0)
    torch.testing.assert_close(loss(logits, targets), MultiLabelBCELoss()(logits, targets))
    soft = torch.rand(B, C)
    expected = F.binary_cross_entropy_with_logits(logits, soft)
    torch.testing.assert_close(loss(logits, soft), expected)


@pytest.mark.parametrize('gammas', [(0, 4), (0.5, 0.5)])
@pytest.mark.parametrize('clip', [0, 0.05])
def test_extreme_logits_keep_finite_gradients(gammas, clip):
    logits = torch.tensor([[-200.0, -30.0, 0.0, 30.0, 200.0]]).repeat(2, 1).requires_grad_()
    targets = torch.tensor([[1.0] * 5, [0.0] * 5])
    loss = AsymmetricLoss(*gammas, clip, reduction='sum')(logits, targets)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    # A positive that is missed completely is pushed; mmpretrain's eps would leave it alone.
    assert logits.grad[0, 0] < -0.5
    if clip:
        assert logits.grad[1, 0] == logits.grad[1, 1] == 0  # an easy negative is left alone


def test_detached_focus_keeps_the_value_and_changes_the_gradient():
    gradients, values = [], []
    logits, targets, _ = make()
    for detach in (False, True):
        leaf = logits.clone().requires_grad_()
        loss = AsymmetricLoss(1, 4, detach_focus=detach)(leaf, targets)
        loss.backward()
        values.append(loss.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(values[0], values[1])
    # With the factors constant the slope is that of the logarithms alone.
    p = logits.sigmoid()
    m = (p - 0.05).clamp(min=0)
    expected = -targets * (1 - p) ** 2 + (1 - targets) * m**4 * p * (1 - p) / (1 - m)
    expected = expected.where((targets == 1) | (m > 0), 0) / (B * C)
    torch.testing.assert_close(gradients[1], expected, rtol=1e-4, atol=1e-8)
    assert not torch.allclose(gradients[0], gradients[1])


def test_cross_entropy_with_class_weights():
    logits, targets, valid = make()
    weights = [0.5, 1, 2, 3, 20]
    loss = MultiLabelBCELoss(pos_weight=weights)
    x, y = logits.double().numpy(), targets.numpy()
    p = 1 / (1 + np.exp(-x))
    expected = -np.array(weights) * y * np.log(p) - (1 - y) * np.log(1 - p)
    np.testing.assert_allclose(loss(logits, targets), expected.mean(), rtol=1e-5)
    kept = expected[valid.numpy()].mean()
    np.testing.assert_allclose(loss(logits, targets, valid), kept, rtol=1e-5)
    assert not loss.state_dict()  # checkpoints stay as they are


@pytest.mark.parametrize('loss', BOTH)
def test_nothing_valid(loss):
    logits, targets, valid = make()
    assert loss()(logits, targets, torch.zeros_like(valid)) == 0


@pytest.mark.parametrize('loss', BOTH)
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_float32_under_mixed_precision(loss, dtype):
    logits, targets, valid = make()
    rounded = logits.to(dtype)
    with torch.autocast('cpu', torch.bfloat16):
        value = loss()(rounded, targets, valid)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss()(rounded.float(), targets, valid))


@pytest.mark.parametrize(
    'options, match',
    [
        (dict(gamma_neg=-1), 'loss.gamma_neg is -1, expected a number of at least 0'),
        (dict(gamma_pos=math.nan), 'loss.gamma_pos is nan'),
        (dict(clip=1), r'loss.clip is 1, expected a number in \[0, 1\)'),
        (dict(reduction='none'), "loss.reduction is 'none', expected one of 'mean', 'sum'"),
    ],
)
def test_wrong_options_of_the_asymmetric_loss(options, match):
    with pytest.raises(ValueError, match=match):
        AsymmetricLoss(**options)


def test_wrong_class_weights():
    for wrong in ([1, 0, 2], [1, -2, 2], [1, math.inf, 2], [1, 2e6, 1]):
        with pytest.raises(
            ValueError, match=r'loss.pos_weight: expected \(C,\) numbers above 0, at most 1e6'
        ):
            MultiLabelBCELoss(pos_weight=wrong)
    with pytest.raises(ValueError, match=r'at most 1e6, got \(1, 3\)'):
        MultiLabelBCELoss(pos_weight=[[1, 2, 3]])
    with pytest.raises(ValueError, match='loss.pos_weight has 3 values, the logits have 5 classes'):
        MultiLabelBCELoss(pos_weight=[1, 2, 3])(*make()[:2])


@pytest.mark.parametrize('make_loss', BOTH)
def test_processes_that_know_different_numbers_of_labels_train_as_one(make_loss, tmp_path):
    """Also where one of them has more images, or knows all, or nothing."""
    loss, logits = make_loss(), torch.randn(7, 5)
    targets = (logits + torch.randn_like(logits) > 0).float()
    valid = torch.rand_like(logits) > 0.5
    valid[3:5], valid[5:] = True, False
    parts = [slice(0, 3), slice(3, 5), slice(5, 7)]

    def gradient(chosen: slice, mask: torch.Tensor | None) -> torch.Tensor:
        weight = torch.ones(5, requires_grad=True)
        loss(logits[chosen] * weight, targets[chosen], mask).backward()
        return weight.grad

    expected = gradient(slice(0, 7), valid)

    def action(rank: int) -> None:
        mask = None if rank == 1 else valid[parts[rank]]
        found = gradient(parts[rank], mask)
        torch.distributed.all_reduce(found)
        torch.testing.assert_close(found / 3, expected)
        with torch.no_grad():  # processes of an evaluation don't wait for each other
            alone = loss(logits[:rank], targets[:rank], valid[:rank]) if rank else 0
            assert rank == 0 or torch.isfinite(alone)

    assert as_group(action, tmp_path, 3) == ['', '', '']
