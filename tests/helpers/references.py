"""Naive NumPy references: one loop per index of the definition, to be read, not to be fast."""

from __future__ import annotations

import numpy as np


def precision_recall_points(scores, targets):
    """(precision, true positives) of every distinct threshold, highest first; inputs (N,)."""
    points = []
    for threshold in sorted(set(scores.tolist()), reverse=True):
        accepted = targets[scores >= threshold]
        points.append((accepted.sum() / len(accepted), int(accepted.sum())))
    return points


def average_precision(scores, targets):
    """Mean over the positives (N,) of the precision at their score."""
    precisions = []
    for score in scores[targets == 1]:
        accepted = targets[scores >= score]
        precisions.append(accepted.sum() / len(accepted))
    return np.mean(precisions)


def voc07_average_precision(scores, targets):
    """VOC 2007: for t = 0, 0.1, ..., 1 the best precision at a recall >= t; inputs (N,)."""
    positives = int(targets.sum())
    points = precision_recall_points(scores, targets)
    best = [max(p for p, tp in points if 10 * tp >= t * positives) for t in range(11)]
    return np.mean(best)


def per_class(measure, scores, targets, valid=None):
    """``measure`` of every column of (N, C), only its valid rows; NaN without positives."""
    values = []
    for c in range(scores.shape[1]):
        rows = np.ones(len(scores), bool) if valid is None else valid[:, c]
        s, t = scores[rows, c], targets[rows, c]
        values.append(measure(s, t) if t.any() else np.nan)
    return np.array(values)


def top_k_labels(scores, k):
    """(N, C) bool: the k best of each row, of equal scores the lower index."""
    labels = np.zeros(scores.shape, bool)
    for row, chosen in zip(scores.tolist(), labels, strict=True):
        ranked = sorted(range(len(row)), key=lambda c: (-row[c], c))
        chosen[ranked[:k]] = True
    return labels


def best_threshold(scores, targets, valid):
    """Every valid score tried as threshold: (the highest with the best OF1, that OF1)."""
    best = (0.0, -1.0)
    for threshold in sorted(set(scores[valid].tolist()), reverse=True):
        labels = scores[valid] >= threshold
        f1 = 2 * (labels & targets[valid]).sum() / (labels.sum() + targets[valid].sum())
        best = (threshold, f1) if f1 > best[1] else best
    return best
