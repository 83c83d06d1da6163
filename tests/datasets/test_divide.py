"""Splits: stratified, by groups, by path; against counts, and the paper read independently."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmlc.datasets.divide import by_place, group_places, stratify
from mmmlc.datasets.label_table import Ragged, path_places

SHARES = [0.7, 0.15, 0.15]


def table(lists: list[list[int]]) -> tuple[Ragged, Ragged]:
    """Labels, and paths of as many images."""
    flat = np.array([label for labels in lists for label in labels], dtype=np.int32)
    paths = Ragged.from_strings([f'{i}.jpg' for i in range(len(lists))])
    return Ragged.from_counts(flat, np.array([len(labels) for labels in lists])), paths


def rare_classes(seed: int, images: int = 2000, classes: int = 20) -> list[list[int]]:
    """Labels whose classes have 1,000 to 10 images."""
    rng = np.random.default_rng(seed)
    chance = np.geomspace(0.5, 0.005, classes)
    return [np.flatnonzero(row).tolist() for row in rng.random((images, classes)) < chance]


def counts(lists: list[list[int]], splits: np.ndarray, classes: int) -> np.ndarray:
    found = np.zeros((3, classes))
    for labels, split in zip(lists, splits.tolist(), strict=True):
        found[split, labels] += 1
    return found


def test_every_class_gets_its_shares():
    for seed in range(3):
        lists = rare_classes(seed)
        labels, paths = table(lists)
        found = counts(lists, stratify(labels, 20, paths, SHARES, seed), 20)
        wanted = found.sum(0) * np.array(SHARES)[:, None]
        by_path = counts(lists, by_place(path_places(paths), SHARES), 20)
        far = [np.abs(each - wanted).max() for each in (found, by_path)]
        assert far[0] <= 6 < far[1], far
        assert np.abs(found - wanted)[:, 10:].max() <= 3  # the rare ones, which are dealt first
        sizes = np.bincount(stratify(labels, 20, paths, SHARES, seed)) / len(lists)
        np.testing.assert_allclose(sizes, SHARES, atol=0.002)


def test_follows_the_paper():
    """Against the algorithm of the paper on images without ties: every choice is forced."""

    def by_hand(lists: list[list[int]], shares: list[float]) -> list[int]:
        room = [share * len(lists) for share in shares]
        classes = {label for labels in lists for label in labels}
        lacking = {c: [share * sum(c in x for x in lists) for share in shares] for c in classes}
        left, chosen = dict(enumerate(lists)), {}
        while any(left.values()):
            amount = {c: n for c in classes if (n := sum(c in x for x in left.values()))}
            rarest = min(amount, key=lambda c: (amount[c], c))
            for image in [i for i, x in left.items() if rarest in x]:
                split = max(range(len(shares)), key=lambda s: (lacking[rarest][s], room[s]))
                chosen[image] = split
                room[split] -= 1
                for label in left.pop(image):
                    lacking[label][split] -= 1
        return [chosen[i] for i in range(len(lists))]

    # All images alike: which of them goes where is a draw, how many is not.
    shares = [0.6137, 0.2711, 0.1152]
    for lists in ([[0]] * 50, [[0, 1]] * 30, [[2]] * 9 + [[1]] * 40):
        labels, paths = table(lists)
        found = stratify(labels, 3, paths, shares)
        expected = np.array(by_hand(lists, shares))
        for kind in (lists[0], lists[-1]):
            alike = np.array([labels == kind for labels in lists])
            dealt = [np.bincount(each[alike], minlength=3).tolist() for each in (found, expected)]
            assert dealt[0] == dealt[1]


def test_same_in_every_run_and_order():
    lists = rare_classes(0, 300)
    labels, paths = table(lists)
    first = stratify(labels, 20, paths, SHARES, 3)
    assert stratify(labels, 20, paths, SHARES, 3).tolist() == first.tolist()
    assert stratify(labels, 20, paths, SHARES, 4).tolist() != first.tolist()
    order = np.random.default_rng(0).permutation(300)
    other = stratify(labels.take(order), 20, paths.take(order), SHARES, 3)
    assert other.tolist() == first[order].tolist()
    assert first[:8].tolist() == [1, 0, 0, 1, 0, 1, 2, 0]  # in every version, too


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 4)), st.integers(-1, 6)), min_size=1, max_size=40),
    st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any),
    st.integers(0, 9),
)
def test_groups_stay_together_whatever_the_data(rows, weights, seed):
    shares = [weight / sum(weights) for weight in weights]
    labels, paths = table([sorted(labels) for labels, _ in rows])
    groups = np.array([group for _, group in rows])
    for found in (
        stratify(labels, 5, paths, shares, seed, groups),
        by_place(group_places(paths, groups, [f'g{i}' for i in range(7)]), shares),
    ):
        assert len(found) == len(rows) and all(shares[split] > 0 for split in found)
        for group in range(7):
            assert len(set(found[groups == group].tolist())) <= 1


def test_groups_are_stratified_as_well_as_possible():
    draw, lists, groups = random.Random(0), [], []
    for group in range(300):  # of a patient, all images have the patient's classes
        labels = [label for label in range(8) if draw.random() < 0.25]
        for _ in range(draw.randint(1, 6)):
            lists.append(labels)
            groups.append(group)
    labels, paths = table(lists)
    found = stratify(labels, 8, paths, SHARES, 0, np.array(groups))
    real = counts(lists, found, 8)
    # A class has some 250 images: one group of 6 of them more is 0.024.
    np.testing.assert_allclose(
        real / real.sum(0), np.array(SHARES)[:, None] * np.ones(8), atol=0.05
    )
    np.testing.assert_allclose(np.bincount(found) / len(lists), SHARES, atol=0.02)


def test_places_of_paths_stay():
    """The splits of files that exist already."""
    paths = Ragged.from_strings(['0.jpg', 'a/b.png', 'ü'])
    expected = [0.19582912, 0.32967014, 0.21556436]
    np.testing.assert_allclose(path_places(paths), expected, atol=1e-7)
    assert by_place(path_places(paths), [0.2, 0.1, 0.7]).tolist() == [0, 2, 1]
    np.testing.assert_array_equal(group_places(paths, None, []), path_places(paths))


@pytest.mark.parametrize('shares', [[1.0, 0.0], [0.0, 1.0]])
def test_a_share_of_nothing_gets_nothing(shares):
    labels, paths = table([[0], [], [1, 0]])
    assert set(stratify(labels, 2, paths, shares).tolist()) == {shares.index(1)}
    assert set(by_place(path_places(paths), shares).tolist()) == {shares.index(1)}
