"""What a ridge leaves of the pooled feature: the all-ones trap, the limits, the table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mining_lab import Identity, images
from mmpretrain.structures import DataSample

from mmmlc.systems.msdpd.ridge import pool_images, ridge_rows, varying_share
from mmmlc.systems.msdpd.task_driven import task_driven_pool


def test_varying_share_by_hand():
    # Mean (2, 0), deviations (-1, 1) and (1, -1): variance 2 of a mean squared length of 6.
    assert varying_share(torch.tensor([[1.0, 1.0], [3.0, -1.0]])) == pytest.approx(2 / 6)
    assert varying_share(torch.ones(5, 3)) == 0


def test_all_ones_trap():
    """With M >= K and no ridge to speak of, all images get the same feature: all ones."""
    parts = (3 * torch.randn(20, 8, 40)).softmax(1).double()
    shares = [varying_share(task_driven_pool(parts, ridge)) for ridge in (1e-9, 1e-4, 1e-2, 1.0)]
    assert shares[0] < 1e-10
    assert shares == sorted(shares) and shares[-1] > 0.01
    # Below M = K the solution of least length takes its place, and still differs.
    assert varying_share(task_driven_pool(parts[..., :4], 1e-9)) > 0.01


def test_table_of_ridges():
    model = Identity()
    model.head.detectors[0].set_detectors(3 * torch.randn(4, 3), torch.zeros(4))
    batches = []
    for rank in (0, 1):
        maps, classes = images(rank)
        samples = [DataSample().set_gt_label([int(c)]) for c in classes]
        batches.append([dict(inputs=maps, data_samples=samples)])
    found = [pool_images(model, part, [1e-5, 1e4]) for part in batches]
    ((train,), *train_labels), ((test,), *test_labels) = found
    rows = ridge_rows(train, test, train_labels, test_labels, model.head.image_loss)
    table = {row.pooling: row for row in rows}
    assert [*table] == ['average', 'max', '1e-05', '10000']
    assert table['1e-05'].ones > 0.95
    assert table['1e-05'].varying < 0.06
    assert table['10000'].average == pytest.approx(1, abs=1e-5)
    assert table['10000'].mean_ap == pytest.approx(table['average'].mean_ap, abs=0.01)
    # The two classes are easy to tell by the mean, and not at all by all ones.
    assert table['average'].mean_ap > 0.9
    # A detector that is masked out takes no part.
    np.testing.assert_array_equal(train.features['average'][:, 4], 0)
