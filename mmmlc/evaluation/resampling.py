"""Measures of resampled images: sorted once, then counted with how often each image was drawn.

Legend: N images, C classes, R resamples at once, P valid pairs of image and class. The measures are
those of :mod:`mmmlc.ops.scores`, to the rounding of sums, on the images as drawn, repeated ones
counted as often.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.func import vmap

from mmmlc.ops.scores import Counts, precision_recall

from .prediction_files import Predictions

MEASURES = ('mAP', 'CF1', 'OF1')


class RankedPairs:
    """The valid pairs by class and descending score, sorted once for all resamples.

    Args:
        scores: (N, C) without NaN.
        positive: (N, C) bool.
        valid: (N, C) bool; the other pairs count nowhere.
    """

    def __init__(self, scores: np.ndarray, positive: np.ndarray, valid: np.ndarray) -> None:
        # A class that never has a positive is left out of every resample.
        used = (positive & valid).any(axis=0)
        ranked = np.argsort(-scores[:, used], axis=0, kind='stable').T
        columns = np.flatnonzero(used)[:, None]
        kept = valid[ranked, columns]
        self.images = ranked[kept]  # (P,)
        classes = np.broadcast_to(np.arange(len(ranked))[:, None], ranked.shape)[kept]
        values, hit = scores[ranked, columns][kept], positive[ranked, columns][kept]
        # Equal scores are one decision: a pair counts with all up to the end of its run.
        last = np.ones(len(values), dtype=bool)
        last[:-1] = (values[1:] != values[:-1]) | (classes[1:] != classes[:-1])
        ends = np.flatnonzero(last)
        hits = np.flatnonzero(hit)
        owner = classes[hits]
        self.hit_images = self.images[hits]
        self.first_hit = np.searchsorted(owner, np.arange(len(ranked) + 1))
        # Below, sums of all pairs before a place: those of a class are a difference of two.
        self.to = ends[np.searchsorted(ends, hits)] + 1
        self.start = np.searchsorted(classes, owner)
        self.hits_to = np.concatenate([[0], hit.cumsum()])[self.to]
        self.hits_start = self.first_hit[owner]

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """Average precision as fractions, NaN for a class without positives among the drawn.

        Args:
            weights: (R, N) integers, how often each image was drawn.

        Returns:
            (R, C') for the C' classes that have a positive at all.
        """
        drawn_hits = weights[:, self.hit_images]
        found, accepted = _sums(drawn_hits), _sums(weights[:, self.images])
        tp = found[:, self.hits_to] - found[:, self.hits_start]
        predicted = accepted[:, self.to] - accepted[:, self.start]
        terms = drawn_hits * (tp / np.maximum(predicted, 1))
        positives = np.diff(found[:, self.first_hit], axis=1)
        total = np.add.reduceat(terms, self.first_hit[:-1], axis=1)
        return np.divide(total, positives, out=np.full(total.shape, np.nan), where=positives > 0)


class Resampler:
    """The measures of one file of predictions on resampled images.

    Raises:
        ValueError: if no pair is positive.
    """

    def __init__(self, predictions: Predictions, measures: Sequence[str] = MEASURES) -> None:
        valid, difficult = predictions.valid, predictions.difficult
        positive = predictions.positive & ~difficult
        if not (positive & valid).any():
            raise ValueError(f'no positive label in {len(valid)} images: nothing to compare')
        self.measures = tuple(measures)
        self.pairs = RankedPairs(predictions.scores, positive, valid & ~difficult)
        labels, positive = predictions.predicted & valid, positive & valid
        self.counted = [x.astype(np.float32) for x in (labels & positive, labels, positive)]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Measures in percent (R, measures) of images drawn ``weights`` (R, N) times.

        NaN without any positive among the drawn.
        """
        found = {}
        if 'mAP' in self.measures:
            ap = self.pairs.average_precision(weights)
            known = ~np.isnan(ap)
            total = np.where(known, ap, 0).sum(axis=1)
            with np.errstate(invalid='ignore'):
                found['mAP'] = total / known.sum(axis=1)
        if {*self.measures} - {'mAP'}:
            # Counts of at most N: exact in float32 up to 16 million images.
            drawn = weights.astype(np.float32)
            counts = Counts(*(torch.from_numpy(drawn @ x) for x in self.counted))
            overall = vmap(precision_recall)(counts)
            found.update(CF1=overall.CF1.numpy(), OF1=overall.OF1.numpy())
        return 100 * np.stack([found[name] for name in self.measures], axis=1)


def _sums(values: np.ndarray) -> np.ndarray:
    """Sums of what lies before each place of the rows, (R, n + 1)."""
    sums = np.zeros((len(values), values.shape[1] + 1), dtype=np.int64)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums
