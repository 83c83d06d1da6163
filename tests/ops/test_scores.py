"""Functional measures and the accumulator against scikit-learn, torchmetrics and naive NumPy."""

import numpy as np
import pytest
import torch
from helpers import references
from helpers.optional import needs_gpu
from sklearn import metrics as sk
from torchmetrics.functional.classification import (
    multilabel_average_precision,
    multilabel_f1_score,
    multilabel_precision,
    multilabel_recall,
)

from mmmlc.ops import scores as ops
from mmmlc.ops.score_accumulator import ScoreAccumulator

N, C = 120, 7


def make(ties=False, dtype=torch.float32, seed=0):
    """Scores correlated with their targets; every class has positives."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(N, C, generator=generator) < 0.2
    targets[:2] = True
    scores = torch.sigmoid(torch.randn(N, C, generator=generator) + 1.5 * targets - 0.7)
    if ties:
        scores = (scores * 8).round() / 8
    return scores.to(dtype), targets


def make_valid(seed=1):
    return torch.rand(N, C, generator=torch.Generator().manual_seed(seed)) < 0.8


def close(ours, reference, tol=1e-12):
    np.testing.assert_allclose(np.asarray(ours), np.asarray(reference), rtol=0, atol=tol)


# Average precision


def test_average_precision_by_hand():
    # Class 0, best first: 1 0 1       -> (1/1 + 2/3) / 2 = 5/6
    # Class 1, all scores equal: 1 of 3 accepted at once -> 1/3
    # Class 2, best first: 0 then {1, 1} tied -> 2/3 for both
    # Class 3, nothing positive -> NaN
    scores = torch.tensor([[0.9, 0.5, 0.8, 0.1], [0.8, 0.5, 0.3, 0.2], [0.7, 0.5, 0.3, 0.3]])
    targets = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0]])
    ap = ops.average_precision(scores, targets)
    assert ap.dtype == torch.float64
    close(ap, [5 / 6, 1 / 3, 2 / 3, np.nan])
    # VOC07, class 0: t <= 0.5 (6 points) -> 1, t > 0.5 (5 points) -> 2/3.
    voc = ops.average_precision(scores, targets, interpolation='voc07')
    close(voc, [(6 + 5 * 2 / 3) / 11, 1 / 3, 2 / 3, np.nan])


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_average_precision_is_that_of_scikit_learn(ties, dtype):
    scores, targets = make(ties, dtype)
    reference = sk.average_precision_score(targets.numpy(), scores.double().numpy(), average=None)
    close(ops.average_precision(scores, targets), reference)
    for number in (torch.uint8, torch.int64, torch.float32):
        close(ops.average_precision(scores, targets.to(number)), reference)


@pytest.mark.parametrize('ties', [False, True])
def test_average_precision_is_that_of_torchmetrics(ties):
    scores, targets = make(ties)
    reference = multilabel_average_precision(scores, targets.long(), C, average=None)
    close(ops.average_precision(scores, targets), reference, tol=1e-6)
    valid = make_valid()
    marked = targets.long().masked_fill(~valid, -1)
    reference = multilabel_average_precision(scores, marked, C, average=None, ignore_index=-1)
    close(ops.average_precision(scores, targets, valid), reference, tol=1e-6)


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize(
    'interpolation, reference',
    [('none', references.average_precision), ('voc07', references.voc07_average_precision)],
)
def test_average_precision_is_the_naive_one(ties, masked, interpolation, reference):
    scores, targets = make(ties)
    targets[:, 2] = False
    valid = make_valid() if masked else None
    if masked:
        valid[targets[:, 3], 3] = False  # positives, but none that counts
    ours = ops.average_precision(scores, targets, valid, interpolation)
    mask = None if valid is None else valid.numpy()
    close(ours, references.per_class(reference, scores.numpy(), targets.numpy(), mask))
    assert ours.isnan().tolist() == [c == 2 or (masked and c == 3) for c in range(C)]


def test_voc07_compares_recalls_exactly():
    # 10 positives, 7 negatives after the third: precision is 1 at the recall 3/10, though
    # 3 * 0.1 > 0.3 in floating point, and 10/17 beyond -> (4 * 1 + 7 * 10/17) / 11.
    targets = torch.tensor([1] * 3 + [0] * 7 + [1] * 7)[:, None]
    scores = torch.linspace(1, 0, 17)[:, None]
    ap = ops.average_precision(scores, targets, interpolation='voc07')
    close(ap, [(4 + 7 * 10 / 17) / 11])


@pytest.mark.parametrize('interpolation', ['none', 'voc07'])
def test_average_precision_ignores_the_order_of_images_and_what_is_not_valid(interpolation):
    scores, targets = make(ties=True)
    valid = make_valid()
    expected = ops.average_precision(scores, targets, valid, interpolation)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    shuffled = ops.average_precision(scores[order], targets[order], valid[order], interpolation)
    assert torch.equal(shuffled, expected)
    other = torch.rand(N, C, generator=torch.Generator().manual_seed(4))
    changed = scores.where(valid, other), targets.where(valid, other > 0.5)
    close(ops.average_precision(*changed, valid, interpolation), expected)


def test_average_precision_in_chunks_of_classes(monkeypatch):
    scores, targets = make()
    expected = ops.average_precision(scores, targets)
    monkeypatch.setattr(ops, '_PAIRS_AT_ONCE', 3 * N)
    assert torch.equal(ops.average_precision(scores, targets), expected)


def test_no_images_have_no_average_precision():
    assert ops.average_precision(torch.zeros(0, 3), torch.zeros(0, 3)).isnan().all()


@needs_gpu
def test_everything_is_the_same_on_the_gpu():
    scores, targets = make(ties=True)
    valid = make_valid()
    here, there = ScoreAccumulator(), ScoreAccumulator()
    here.update(scores, targets, ~valid)
    there.update(scores.cuda(), targets.cuda(), ~valid.cuda())
    expected = here.compute(tune=True).summary()
    assert there.compute(tune=True).summary() == pytest.approx(expected, abs=1e-12)


# Labels


def test_a_score_at_the_threshold_is_accepted():
    scores = torch.tensor([[0.6, 0.59, 0.7], [0.3, 0.9, 0.69]])
    assert ops.labels_at_threshold(scores, 0.6).tolist() == [[1, 0, 1], [0, 1, 1]]
    # 0.7 in float32 is below 0.7 in float64: a threshold takes part in the scores' precision.
    each = torch.tensor([0.3, 0.9, 0.7], dtype=torch.float64)
    assert ops.labels_at_threshold(scores, each).tolist() == [[1, 0, 1], [1, 1, 0]]
    with pytest.raises(ValueError, match=r'one per class \(3,\), got shape \(2,\)'):
        ops.labels_at_threshold(scores, torch.tensor([0.1, 0.2]))


@pytest.mark.parametrize('k', [1, 3, C, C + 2])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_top_k_takes_exactly_k_and_ties_go_to_the_lower_index(k, dtype):
    scores, _ = make(ties=True, dtype=dtype)
    scores[0] = 0.5
    labels = ops.labels_top_k(scores, k)
    assert (labels.sum(1) == min(k, C)).all()
    np.testing.assert_array_equal(labels, references.top_k_labels(scores.float().numpy(), k))
    with_threshold = ops.labels_top_k(scores, k, 0.5)
    assert torch.equal(with_threshold, labels & (scores >= 0.5))


def test_top_k_needs_a_k():
    with pytest.raises(ValueError, match='k must be at least 1, got 0'):
        ops.labels_top_k(torch.rand(2, 3), 0)


# Precision, recall, F1


def test_precision_recall_by_hand():
    #           tp  predicted  positives   P    R    F1
    # class 0    1      2          1      1/2   1    2/3
    # class 1    0      0          2       0    0     0
    # class 2    0      1          0       left out, but its prediction counts in OP
    labels = torch.tensor([[1, 0, 1], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    targets = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]])
    counts = ops.count_labels(labels, targets)
    assert [c.tolist() for c in counts] == [[1, 0, 0], [2, 0, 1], [1, 2, 0]]
    result = ops.precision_recall(counts)
    close(result.precision, [1 / 2, 0, np.nan])
    close(result.recall, [1, 0, np.nan])
    close(result.f1, [2 / 3, 0, np.nan])
    # CP = 1/4, CR = 1/2, CF1 = 2 (1/4)(1/2) / (3/4) = 1/3 and macro F1 = (2/3 + 0) / 2 = 1/3;
    # OP = 1/3, OR = 1/3.
    close(torch.stack(result[3:]), [1 / 4, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize('threshold', [0.3, 0.6, 2.0])
@pytest.mark.parametrize('ties', [False, True])
def test_precision_recall_is_that_of_scikit_learn_and_torchmetrics(threshold, ties):
    scores, targets = make(ties)
    labels = ops.labels_at_threshold(scores, threshold)
    result = ops.precision_recall(ops.count_labels(labels, targets))
    for average, names in (('macro', ('CP', 'CR', 'macro_F1')), ('micro', ('OP', 'OR', 'OF1'))):
        ours = [getattr(result, name) for name in names]
        reference = sk.precision_recall_fscore_support(
            targets.numpy(), labels.numpy(), average=average, zero_division=0
        )[:3]
        close(ours, reference)
        for value, function in zip(
            ours, (multilabel_precision, multilabel_recall, multilabel_f1_score), strict=True
        ):
            # torchmetrics accepts scores above its threshold: hand over labels.
            close(value, function(labels.long(), targets.long(), C, average=average), tol=1e-6)
    if threshold < 1:
        close(result.CF1, 2 * result.CP * result.CR / (result.CP + result.CR))
        assert abs(result.CF1 - result.macro_F1) > 1e-4
    else:
        assert result.CF1 == result.OF1 == 0


def test_what_is_not_valid_does_not_count():
    scores, targets = make()
    labels, valid = scores >= 0.5, make_valid()
    counts = ops.count_labels(labels, targets, valid)
    for c in range(C):
        rows = valid[:, c]
        assert counts.tp[c] == (labels[rows, c] & targets[rows, c]).sum()
        assert counts.predicted[c] == labels[rows, c].sum()
        assert counts.positives[c] == targets[rows, c].sum()


def test_labels_must_be_bool():
    with pytest.raises(ValueError, match=r'labels must be bool .*float32 \(2, 3\)'):
        ops.count_labels(torch.rand(2, 3), torch.ones(2, 3))


# The best threshold


def test_best_threshold_by_hand():
    # Accepting 1, 2, 3, 4 scores finds 1, 1, 2, 2 of 2 positives:
    # F1 = 2/3, 2/4, 4/5, 4/6 -> the third score.
    scores = torch.tensor([[0.9, 0.5], [0.7, 0.2]])
    threshold, f1 = ops.best_threshold(scores, torch.tensor([[1, 1], [0, 0]]))
    assert threshold == scores[0, 1]
    close(f1, 4 / 5)


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16])
def test_best_threshold_is_the_best_of_all(ties, dtype):
    scores, targets = make(ties, dtype)
    valid = make_valid()
    threshold, f1 = ops.best_threshold(scores, targets, valid)
    values = scores.double().numpy()
    reference = references.best_threshold(values, targets.numpy(), valid.numpy())
    assert (threshold.item(), f1.item()) == reference
    labels = ops.labels_at_threshold(scores, threshold.item())
    close(ops.precision_recall(ops.count_labels(labels, targets, valid)).OF1, f1)


def test_best_threshold_needs_a_positive():
    targets = torch.tensor([[1, 0], [0, 0]])
    with pytest.raises(ValueError, match='no positive among 4 pairs'):
        ops.best_threshold(torch.rand(2, 2), targets, targets == 0)


# Wrong input


@pytest.mark.parametrize(
    'scores, targets, valid, error, match',
    [
        (torch.rand(4), torch.ones(4), None, ValueError, r'\(images, classes\), got shape \(4,\)'),
        (torch.rand(4, 0), torch.ones(4, 0), None, ValueError, r'got shape \(4, 0\)'),
        (torch.ones(2, 2).long(), torch.ones(2, 2), None, TypeError, 'got torch.int64'),
        (torch.rand(2, 3), torch.ones(3, 2), None, ValueError, r'targets has shape \(3, 2\)'),
        (torch.rand(2, 3), torch.ones(2, 3), torch.ones(2) > 0, ValueError, 'valid has shape'),
        (torch.rand(2, 3), torch.ones(2, 3), torch.ones(2, 3), TypeError, 'valid must be bool'),
        (torch.tensor([[0.1, torch.nan]]), torch.ones(1, 2), None, ValueError, r'\[0, 1\] is nan'),
        (torch.rand(1, 2), torch.tensor([[0, -1]]), None, ValueError, r'targets\[0, 1\] is -1'),
        (torch.rand(1, 2), torch.tensor([[0.5, 1]]), None, ValueError, r'targets\[0, 0\] is 0.5'),
    ],
)
def test_wrong_input_is_named(scores, targets, valid, error, match):
    for function in (ops.average_precision, ops.best_threshold):
        with pytest.raises(error, match=match):
            function(scores, targets, valid)
    with pytest.raises(error, match=match):
        ScoreAccumulator().update(scores, targets, valid=valid)


def test_unknown_interpolation():
    with pytest.raises(ValueError, match="'none' or 'voc07', got 'voc12'"):
        ops.average_precision(*make(), interpolation='voc12')


# The accumulator


def test_batches_merges_and_order_change_nothing():
    scores, targets = make(ties=True)
    difficult, valid = make_valid(5) & ~make_valid(6), make_valid()
    whole, first, second = ScoreAccumulator(), ScoreAccumulator(), ScoreAccumulator()
    whole.update(scores, targets, difficult, valid)
    parts = torch.randperm(N, generator=torch.Generator().manual_seed(2)).split(25)
    for accumulator, part in zip((first, second, first, second, second), parts, strict=True):
        accumulator.update(scores[part], targets[part], difficult[part], valid[part])
    first.merge(second)
    assert len(first) == len(whole) == N
    expected = whole.compute(0.4, k=2, tune=True).summary()
    assert first.compute(0.4, k=2, tune=True).summary() == expected
    assert {'mAP', 'mAP_11point', 'CF1', 'top2_OF1', 'top2_thr_macro_F1'} < set(expected)
    first.reset()
    assert len(first) == 0
    first.merge(whole)
    assert first.compute(0.4, k=2, tune=True).summary() == expected


def test_difficult_is_unknown_to_ap_and_negative_elsewhere():
    scores, targets = make()
    difficult, valid = ~make_valid(5), make_valid()
    accumulator = ScoreAccumulator()
    accumulator.update(scores, targets, difficult, valid)
    result = accumulator.compute(threshold=0.4, tune=True)
    in_ap, negative = valid & ~difficult, targets & ~difficult
    for ap, measure in (
        (result.ap, references.average_precision),
        (result.ap_11point, references.voc07_average_precision),
    ):
        close(ap, references.per_class(measure, scores.numpy(), targets.numpy(), in_ap.numpy()))
    reference = ops.precision_recall(ops.count_labels(scores >= 0.4, negative, valid))
    close(torch.stack(result.at_threshold[3:]), torch.stack(reference[3:]))
    reference = references.best_threshold(scores.numpy(), negative.numpy(), valid.numpy())
    assert (result.tuned_threshold, result.tuned_OF1) == reference


def test_class_without_positives_is_left_out_but_stays_in_op():
    scores, targets = make()
    targets[:, 4] = False
    accumulator = ScoreAccumulator()
    accumulator.update(scores, targets)
    result = accumulator.compute(0.5)
    assert result.left_out == [4]
    kept = [c for c in range(C) if c != 4]
    others = ScoreAccumulator()
    others.update(scores[:, kept], targets[:, kept])
    ours, without = result.summary(), others.compute(0.5).summary()
    for name in ('mAP', 'mAP_11point', 'CP', 'CR', 'CF1', 'macro_F1', 'OR'):
        assert ours[name] == pytest.approx(without[name], abs=1e-12)
    labels = (scores >= 0.5).numpy()
    assert ours['OP'] == pytest.approx(sk.precision_score(targets, labels, average='micro'))
    assert ours['OP'] < without['OP']


def test_accumulator_keeps_copies():
    scores, targets = make()
    accumulator = ScoreAccumulator()
    accumulator.update(scores, targets)
    expected = accumulator.compute().summary()
    scores.zero_(), targets.zero_()
    assert accumulator.compute().summary() == expected


def test_accumulator_refuses_what_it_cannot_evaluate():
    accumulator = ScoreAccumulator()
    with pytest.raises(ValueError, match='update\\(\\) was never called'):
        accumulator.compute()
    scores, targets = make()
    accumulator.update(scores, torch.zeros_like(targets))
    with pytest.raises(ValueError, match=f'no positive label in {N} images'):
        accumulator.compute()
    with pytest.raises(ValueError, match='scores have 3 classes, those before had 7'):
        accumulator.update(scores[:, :3], targets[:, :3])
    with pytest.raises(ValueError, match=r'difficult must be bool .*int64'):
        accumulator.update(scores, targets, difficult=targets.long())
