"""Collect scores batch by batch, then compute every measure of :mod:`mmmlc.ops.scores` at once.

Legend: N images, C classes. Needs torch and NumPy only, so it also serves a plain training loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from .scores import (
    PrecisionRecall,
    average_precision,
    best_class_thresholds,
    best_threshold,
    check_scores,
    count_labels,
    labels_at_threshold,
    labels_top_k,
    precision_recall,
)


@dataclass(frozen=True)
class Evaluation:
    """All measures of a set of scores, as fractions in [0, 1].

    ``ap`` and ``ap_11point`` (C,) float64 and ``at_threshold`` are NaN for the classes without
    positives, whose indices are ``left_out``; ``positives`` (C,) are their numbers.
    ``tuned_threshold`` and ``tuned_OF1`` are None unless asked for, as are ``class_thresholds``
    (C,) and the measures ``at_class_thresholds``.
    """

    k: int
    ap: Tensor
    ap_11point: Tensor
    positives: Tensor
    at_threshold: PrecisionRecall
    top_k: PrecisionRecall
    top_k_threshold: PrecisionRecall
    tuned_threshold: float | None = None
    tuned_OF1: float | None = None
    class_thresholds: Tensor | None = None
    at_class_thresholds: PrecisionRecall | None = None

    @property
    def left_out(self) -> list[int]:
        """Indices of the classes without positives, which no class mean counts."""
        return (self.positives == 0).nonzero().flatten().tolist()

    def summary(self) -> dict[str, float]:
        """Means by their usual names: mAP, CP ... OF1, macro_F1, top3_CP ..., top3_thr_CP ..."""
        names = ('CP', 'CR', 'CF1', 'OP', 'OR', 'OF1', 'macro_F1')
        groups = {
            '': self.at_threshold,
            f'top{self.k}_': self.top_k,
            f'top{self.k}_thr_': self.top_k_threshold,
        }
        values: dict[str, Any] = {
            'mAP': self.ap.nanmean(),
            'mAP_11point': self.ap_11point.nanmean(),
        }
        for prefix, measures in groups.items():
            values.update({prefix + name: getattr(measures, name) for name in names})
        if self.tuned_threshold is not None:
            values.update(tuned_threshold=self.tuned_threshold, tuned_OF1=self.tuned_OF1)
        if self.at_class_thresholds is not None:
            tuned = {f'tuned_{name}': getattr(self.at_class_thresholds, name) for name in names}
            values.update(tuned)
        return {name: float(value) for name, value in values.items()}


class ScoreAccumulator:
    """Keep scores and labels of batches, on the device they come from, until :meth:`compute`.

    >>> scores = ScoreAccumulator()
    >>> scores.update(torch.tensor([[0.9, 0.2], [0.6, 0.7]]), torch.tensor([[1, 0], [0, 1]]))
    >>> scores.compute(threshold=0.5).summary()['mAP']
    1.0
    """

    def __init__(self) -> None:
        self._batches: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def __len__(self) -> int:
        """Number of images so far."""
        return sum(len(scores) for scores, *_ in self._batches)

    def update(
        self,
        scores: Tensor,
        targets: Tensor,
        difficult: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> None:
        """Add a batch; all are (N, C), ``targets`` in 0/1, the masks bool.

        A ``difficult`` pair (PASCAL VOC) is unknown to average precision and a negative for
        everything else, whatever its target. A pair that is not ``valid`` counts nowhere.
        """
        check_scores(scores, targets, valid)
        if difficult is None:
            difficult = torch.zeros_like(scores, dtype=torch.bool)
        elif difficult.dtype != torch.bool or difficult.shape != scores.shape:
            raise ValueError(
                f'difficult must be bool of shape {tuple(scores.shape)} like scores, '
                f'got {difficult.dtype} {tuple(difficult.shape)}'
            )
        valid = torch.ones_like(difficult) if valid is None else valid.clone()
        # Copies: the caller may reuse its buffers.
        self._append(
            (scores.detach().clone(), targets.bool() & ~difficult, difficult.clone(), valid)
        )

    def merge(self, other: ScoreAccumulator) -> None:
        """Add all batches of ``other``, for example of another process."""
        for batch in list(other._batches):
            self._append(batch)

    def reset(self) -> None:
        """Forget everything."""
        self._batches.clear()

    def compute(
        self,
        threshold: float | Tensor = 0.5,
        k: int = 3,
        tune: bool | Literal['class'] = False,
        labels: Tensor | None = None,
    ) -> Evaluation:
        """All measures of the images so far.

        Labels are predicted at ``threshold`` (one number or (C,)), as the ``k`` best of an image,
        and as those of the ``k`` best that reach the threshold; ``labels`` (N, C) bool, in the
        order of the updates, take the place of those at the threshold. With ``tune`` the threshold
        of the highest OF1 *on these scores* is searched, too, with ``'class'`` the threshold of
        each class with its highest F1 (``threshold`` where a class has no positive).
        ``ValueError`` without any positive.
        """
        if not self._batches:
            raise ValueError('no scores to evaluate: update() was never called')
        scores, targets, difficult, valid = map(torch.cat, zip(*self._batches, strict=True))
        if not (targets & valid).any():
            raise ValueError(f'no positive label in {len(scores)} images: nothing to evaluate')

        def measures(labels: Tensor) -> PrecisionRecall:
            return precision_recall(count_labels(labels, targets, valid))

        in_ap = valid & ~difficult
        if labels is None:
            labels = labels_at_threshold(scores, threshold)
        tuned, tuned_f1, per_class, at_class = None, None, None, None
        if tune == 'class':
            per_class = best_class_thresholds(scores, targets, valid)[0]
            per_class = per_class.where(
                ~per_class.isnan(), torch.as_tensor(threshold).to(per_class)
            )
            at_class = measures(labels_at_threshold(scores, per_class))
        elif tune:
            tuned, tuned_f1 = (x.item() for x in best_threshold(scores, targets, valid))
        return Evaluation(
            k=k,
            ap=average_precision(scores, targets, in_ap),
            ap_11point=average_precision(scores, targets, in_ap, interpolation='voc07'),
            positives=(targets & valid).sum(0),
            at_threshold=measures(labels),
            top_k=measures(labels_top_k(scores, k)),
            top_k_threshold=measures(labels_top_k(scores, k) & labels),
            tuned_threshold=tuned,
            tuned_OF1=tuned_f1,
            class_thresholds=per_class,
            at_class_thresholds=at_class,
        )

    def _append(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
        num_classes = batch[0].shape[1]
        if self._batches and self._batches[0][0].shape[1] != num_classes:
            raise ValueError(
                f'scores have {num_classes} classes, those before had '
                f'{self._batches[0][0].shape[1]}'
            )
        self._batches.append(batch)
