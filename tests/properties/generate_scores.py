"""Scores and labels: every measure against plain loops, or an error that names the place."""

from __future__ import annotations

import numpy as np
import torch
from helpers import references
from helpers.cases import generated, right_or_refused
from hypothesis import strategies as st

from mmmlc.ops.scores import (
    average_precision,
    best_threshold,
    count_labels,
    labels_at_threshold,
    labels_top_k,
    precision_recall,
)

EXTREMES = (0.0, -0.0, 0.5, 1.0, -3.0, 1e-30, 1e30, -1e30, float('inf'), float('-inf'))


@st.composite
def _matrices(draw):
    images, classes = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    size = images * classes
    # Few different scores make ties, which is where measures differ.
    pool = draw(
        st.lists(st.sampled_from(EXTREMES) | st.floats(0, 1, width=32), min_size=1, max_size=5)
    )
    scores = draw(st.lists(st.sampled_from(pool), min_size=size, max_size=size))
    targets, valid = (draw(st.lists(st.booleans(), min_size=size, max_size=size)) for _ in range(2))
    wrong = draw(st.sampled_from([None, None, None, 'score', 'target']))
    return (
        np.array(scores, np.float32).reshape(images, classes),
        np.array(targets).reshape(images, classes),
        np.array(valid).reshape(images, classes),
        wrong,
    )


@generated(_matrices(), share=14)
def scores_and_labels(case, folder):
    scores, targets, valid, wrong = case
    given = [torch.from_numpy(x.copy()) for x in (scores, targets, valid)]
    if wrong is not None:
        _refused(*given, wrong)
        return
    for interpolation, reference in (
        ('none', references.average_precision),
        ('voc07', references.voc07_average_precision),
    ):
        found = average_precision(*given, interpolation=interpolation)
        expected = references.per_class(reference, scores, targets, valid)
        np.testing.assert_allclose(found, expected, atol=1e-12)
    labels = labels_at_threshold(given[0], 0.5)
    _precision(labels.numpy(), targets, valid)
    np.testing.assert_array_equal(labels_top_k(given[0], 2), references.top_k_labels(scores, 2))
    if (targets & valid).any():
        threshold, f1 = best_threshold(*given)
        expected = references.best_threshold(scores, targets, valid)
        assert threshold.item() == expected[0] and np.isclose(f1, expected[1])


def _precision(labels, targets, valid):
    found = precision_recall(count_labels(*map(torch.from_numpy, (labels, targets, valid))))
    for c in range(labels.shape[1]):
        rows = valid[:, c]
        hits, predicted, positive = (
            (labels & targets)[rows, c].sum(),
            labels[rows, c].sum(),
            targets[rows, c].sum(),
        )
        if not positive:
            assert found.precision[c].isnan() and found.recall[c].isnan() and found.f1[c].isnan()
            continue
        assert np.isclose(found.precision[c], hits / predicted if predicted else 0)
        assert np.isclose(found.recall[c], hits / positive)
        assert np.isclose(found.f1[c], 2 * hits / (predicted + positive))


def _refused(scores, targets, valid, wrong):
    row, column = scores.shape[0] - 1, scores.shape[1] // 2
    if wrong == 'score':
        scores[row, column] = float('nan')
    else:
        targets = targets.float()
        targets[row, column] = 0.5
    returned, _ = right_or_refused(
        lambda: average_precision(scores, targets, valid), f'{wrong}s[{row}, {column}] is'
    )
    assert not returned
