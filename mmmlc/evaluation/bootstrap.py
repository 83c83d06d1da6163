"""Is one method better than another? A paired bootstrap over images and seeds.

Legend: N images, R resamples at once, S seeds of a method.

A resample draws N images with replacement, the same for both methods, and for each method seeds
of its own (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993). Of S seeds S - 1 are
drawn: of S the variance of their mean would come out a factor of S / (S - 1) too small, which is
3 / 2 for three seeds (McCarthy and Snowden, "The Bootstrap and Finite Population Sampling", 1985).
The measures are those of :class:`mmmlc.evaluation.MultiLabelMetric` on the images as drawn,
repeated ones counted as often. Numbers are in percent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from mmmlc.neutral import safe_line
from mmmlc.ops.wording import listed

from .prediction_files import Predictions
from .resampling import MEASURES, Resampler

# Bounds the working memory to some 200 MB.
_PAIRS_AT_ONCE = 1 << 22

# Below, intervals of trainings that differ much are too short: in a simulation of that alone they
# held the true difference in 78 % (2 seeds), 87 % (3) and 91 % (5) of the cases.
FEW_SEEDS = 5

Verdict = Literal['better', 'worse', 'cannot tell']


class Difference(NamedTuple):
    """A measure of two methods, in percent: means over the seeds, A minus B, its interval."""

    measure: str
    a: float
    b: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """A minus B."""
        return self.a - self.b

    @property
    def verdict(self) -> Verdict:
        """What A is: ``'cannot tell'`` where 0 lies in the interval."""
        if self.low > 0:
            return 'better'
        return 'worse' if self.high < 0 else 'cannot tell'


def compare(
    a: Sequence[Predictions],
    b: Sequence[Predictions],
    measures: Sequence[str] = MEASURES,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Difference]:
    """Differences of two methods with intervals that hold 95 percent of the resamples.

    Args:
        a: Predictions of the first method, one file per seed; see
            :func:`mmmlc.evaluation.prediction_files.align_predictions`.
        b: Of the second method, on the same images in the same order.
        measures: Of ``MEASURES``.
        resamples: How many.
        seed: Of the draws.

    Raises:
        ValueError: for an unknown measure, no file, fewer than two images or resamples, or so few
            images with labels that some resample has none.
    """
    _check(a, b, measures, resamples)
    images, *rest = np.random.SeedSequence(seed).spawn(3)
    methods = [[Resampler(file, measures) for file in files] for files in (a, b)]
    pairs = a[0].scores.size
    once = np.ones((1, len(a[0].images)), dtype=np.int32)
    full = [np.mean([file(once)[0] for file in files], axis=0) for files in methods]
    blocks = [
        [np.stack([file(weights) for file in files]) for files in methods]
        for weights in _draws(len(a[0].images), resamples, images, _PAIRS_AT_ONCE // pairs)
    ]
    values = [np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True)]
    means = [
        _mean_of_drawn(of_seeds, stream) for of_seeds, stream in zip(values, rest, strict=True)
    ]
    differences = means[0] - means[1]
    if empty := int(np.isnan(differences).any(axis=1).sum()):
        raise ValueError(
            f'{empty} of {resamples} resamples have no positive label: {len(a[0].images)} images '
            'with so few labels are too few for a comparison'
        )
    bounds = np.quantile(differences, (0.025, 0.975), axis=0)
    numbers = np.stack([*full, *bounds], axis=1).tolist()
    return [Difference(name, *row) for name, row in zip(measures, numbers, strict=True)]


def columns_of(a: str, b: str) -> list[str]:
    """Titles of :func:`cells_of`."""
    return ['measure', a, b, 'difference', '95 % interval', f'{a} is']


def cells_of(row: Difference) -> list[str]:
    """A row of a table.

    >>> cells_of(Difference('mAP', 81.2, 70.41, 9.5, 12.06))
    ['mAP', '81.20', '70.41', '+10.79', '+9.50 to +12.06', 'better']
    """
    interval = f'{row.low:+.2f} to {row.high:+.2f}'
    cells = [row.measure, f'{row.a:.2f}', f'{row.b:.2f}', f'{row.difference:+.2f}', interval]
    return [*cells, row.verdict]


def remarks(names: Sequence[str], images: int, a: int, b: int, resamples: int) -> list[str]:
    """What the table's intervals are about, and what they leave out.

    Args:
        names: Of both methods.
        images: N.
        a: Seeds of the first method.
        b: Seeds of the second one.
        resamples: How many.
    """
    notes = [
        f'{resamples:,} resamples of {images:,} images, the same for both, and of {a} and {b} '
        f'seed{"s" * (max(a, b) > 1)}, drawn for each.'
    ]
    if single := [safe_line(name) for name, seeds in zip(names, (a, b), strict=True) if seeds == 1]:
        notes.append(
            f'One seed of {" and ".join(single)}: how much another training would differ is not '
            'in the interval.'
        )
    if any(1 < seeds < FEW_SEEDS for seeds in (a, b)):
        notes.append('Of so few seeds the interval is rather too short, see docs/testing.md.')
    return notes


def _check(
    a: Sequence[Predictions], b: Sequence[Predictions], measures: Sequence[str], resamples: int
) -> None:
    if unknown := [name for name in measures if name not in MEASURES]:
        raise ValueError(f'measure {unknown[0]!r}, expected some of {listed(MEASURES)}')
    if not measures or not a or not b:
        raise ValueError(f'{len(a)} and {len(b)} files, measures {measures}: expected some of each')
    if len(a[0].images) < 2:
        raise ValueError(f'{len(a[0].images)} image: expected at least two to draw from')
    if resamples < 2:
        raise ValueError(f'resamples is {resamples}, expected at least 2')


def _draws(
    images: int, resamples: int, stream: np.random.SeedSequence, at_once: int
) -> Iterator[np.ndarray]:
    """How often each image is drawn, in blocks (R, N)."""
    generator = np.random.default_rng(stream)
    step = max(1, at_once)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(images, size=(rows, images))
        flat = drawn + images * np.arange(rows)[:, None]
        counts = np.bincount(flat.ravel(), minlength=rows * images)
        yield counts.reshape(rows, images).astype(np.int32)


def _mean_of_drawn(values: np.ndarray, stream: np.random.SeedSequence) -> np.ndarray:
    """Mean over seeds drawn for each resample; values (S, resamples, measures)."""
    seeds, resamples, _ = values.shape
    size = (resamples, max(1, seeds - 1))
    drawn = np.random.default_rng(stream).integers(seeds, size=size)
    return values[drawn, np.arange(resamples)[:, None]].mean(axis=1)
