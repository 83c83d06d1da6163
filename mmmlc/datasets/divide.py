"""Images divided into splits: by a hash of the path, or so that every split has all classes.

N: images, S: splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from .label_table import Ragged, path_places


def group_places(paths: Ragged, groups: np.ndarray | None, names: Sequence[str]) -> np.ndarray:
    """A number in [0, 1) for each image, (N,), by its group if it has one, otherwise by its path.

    Args:
        paths: N paths.
        groups: (N,) indices into ``names``, -1 for an image of no group; None if none has one.
        names: of the groups.
    """
    places = path_places(paths)
    if groups is None or not names:
        return places
    # Another kind of text than a path: a group 'a.jpg' is not the image 'a.jpg'.
    of_group = path_places(Ragged.from_strings([f'group\n{name}' for name in names]))
    return np.where(groups >= 0, of_group[groups], places)


def by_place(places: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The split of each image, (N,), whose shares of [0, 1) follow each other."""
    ends = np.cumsum(shares)[:-1]  # the last share ends at 1 whatever the rounding
    return np.searchsorted(ends, places, side='right')


def stratify(
    labels: Ragged,
    num_classes: int,
    paths: Ragged,
    shares: Sequence[float],
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """The split of each image, (N,), by iterative stratification.

    Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011:
    the class with the fewest images left is dealt first, each of its images to the split that lacks
    most of the class, then to the one that lacks most images. Where the paper draws at random, a
    hash of seed and path decides, so that the order of the rows does not matter. Images of a group
    go together, the groups with most images of the class first.

    Args:
        labels: classes of each image.
        num_classes: C.
        paths: of the images.
        shares: S numbers that sum to 1.
        seed: another gives other splits of the same kind.
        groups: (N,) group of each image, -1 for none.
    """
    units, sizes, keys = _units(paths, groups, seed)
    rows = np.repeat(np.arange(len(labels)), labels.counts)
    pairs, counts = np.unique(units[rows] * num_classes + labels.values, return_counts=True)
    unit_of, class_of = np.divmod(pairs, max(num_classes, 1))
    starts = np.searchsorted(unit_of, np.arange(len(sizes) + 1))
    shares_ = np.asarray(shares, dtype=np.float64)
    lacking = np.outer(np.bincount(class_of, counts, num_classes), shares_)  # (C, S) images
    room = sizes.sum() * shares_
    split_of = np.full(len(sizes), -1)
    for unit, label in _in_turn(unit_of, class_of, counts, sizes, keys, split_of, num_classes):
        want = room if label is None else lacking[label]
        best = np.flatnonzero((want >= want[shares_ > 0].max() - 1e-9) & (shares_ > 0))
        best = best[room[best] >= room[best].max() - 1e-9]
        split = best[keys[unit] % len(best)]
        split_of[unit] = split
        own = slice(starts[unit], starts[unit + 1])
        lacking[class_of[own], split] -= counts[own]
        room[split] -= sizes[unit]
    return split_of[units]


def _units(
    paths: Ragged, groups: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The unit that is dealt as one of each image (N,), and the units' sizes and random keys."""
    if groups is None:
        groups = np.full(len(paths), -1)
    alone = np.flatnonzero(groups < 0)
    units = np.array(groups, dtype=np.int64)
    units[alone] = groups.max(initial=-1) + 1 + np.arange(len(alone))
    _, units = np.unique(units, return_inverse=True)
    salt = str(seed).encode()
    image_keys = np.array(
        [
            int.from_bytes(
                hashlib.blake2b(paths[i].tobytes(), digest_size=7, key=salt).digest(), 'little'
            )
            for i in range(len(paths))
        ],
        dtype=np.int64,
    )
    keys = np.full(units.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(keys, units, image_keys)
    return units, np.bincount(units), keys


def _in_turn(
    unit_of: np.ndarray,
    class_of: np.ndarray,
    counts: np.ndarray,
    sizes: np.ndarray,
    keys: np.ndarray,
    split_of: np.ndarray,
    num_classes: int,
) -> Iterator[tuple[int, int | None]]:
    """Units in the order in which they are dealt, and the class that they are dealt for."""
    # By class, then most images of it first, then by key.
    order = np.lexsort((keys[unit_of], -counts, class_of))
    ends = np.searchsorted(class_of[order], np.arange(num_classes + 1))
    left = np.bincount(class_of, counts, num_classes)
    starts = np.searchsorted(unit_of, np.arange(len(sizes) + 1))
    while (left > 0).any():
        label = int(np.where(left > 0, left, np.inf).argmin())
        for unit in unit_of[order[ends[label] : ends[label + 1]]].tolist():
            if split_of[unit] < 0:
                yield unit, label
                own = slice(starts[unit], starts[unit + 1])
                left[class_of[own]] -= counts[own]
    rest = np.flatnonzero(split_of < 0)
    for unit in rest[np.lexsort((keys[rest], -sizes[rest]))].tolist():
        yield unit, None
