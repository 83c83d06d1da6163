"""Naive NumPy references of the distillation losses: one loop per index of the definition."""

from __future__ import annotations

import numpy as np
from wsddn_references import iou, region_scores, roi_pool


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def roi_feature_loss(student, teacher, boxes, weights, size):
    """Eq. 3-4: maps (B, D, ., .), boxes (B, T, 4) as fractions, weights (B, T)."""
    total = 0.0
    for n in range(len(boxes)):
        pooled = []
        for maps in (student[n], teacher[n]):
            height, width = maps.shape[1:]
            pooled.append(roi_pool(maps, boxes[n] * np.array([width, height] * 2), size))
        for r in range(len(boxes[n])):
            difference = weights[n, r] * pooled[1][r] - weights[n, r] * pooled[0][r]
            total += (difference**2).sum() / len(boxes[n])
    return total / (2 * len(boxes))


def keep(boxes, scores, threshold, top):
    """Greedy suppression of one image's boxes (R, 4), best first, repeated up to ``top``."""
    kept = []
    for r in np.argsort(-scores, kind='stable'):
        if all(iou(boxes[r], boxes[q]) <= threshold for q in kept):
            kept.append(int(r))
    kept = kept[:top]
    return [kept[i % len(kept)] for i in range(top)]


def soft_teacher(class_logits, detection_logits, valid, t_class, t_detection):
    """Eq. 6-7: logits (B, R, C)."""
    scores = [
        region_scores(c, d, v, t_class, t_detection)
        for c, d, v in zip(class_logits, detection_logits, valid, strict=True)
    ]
    return np.stack(scores).sum(1)


def prediction_loss(logits, t_student, teacher, kind):
    """Eq. 5 and 8, or the cross-entropy: logits and teacher (B, C)."""
    total = 0.0
    for n in range(len(logits)):
        for k in range(logits.shape[1]):
            p, q = sigmoid(logits[n, k] / t_student[k]), teacher[n, k]
            if kind == 'squared':
                total += (q - p) ** 2 / 2
            else:
                total -= q * np.log(p) + (1 - q) * np.log(1 - p)
    return total / len(logits)


def average_cells(maps, height, width):
    """Maps (D, h, w) with h and w multiples of the result's."""
    step_y, step_x = maps.shape[1] // height, maps.shape[2] // width
    result = np.zeros((len(maps), height, width))
    for i in range(height):
        for j in range(width):
            part = maps[:, i * step_y : (i + 1) * step_y, j * step_x : (j + 1) * step_x]
            result[:, i, j] = part.mean((1, 2))
    return result


def hint_loss(student, teacher):
    total = 0.0
    _, _, height, width = student.shape
    for ours, theirs in zip(student, teacher, strict=True):
        difference = average_cells(theirs, height, width) - ours
        total += (difference**2).sum() / (2 * height * width)
    return total / len(student)


def attention_loss(student, teacher):
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        height, width = ours.shape[1:]
        first = (ours**2).mean(0)
        second = average_cells((theirs**2).mean(0)[None], height, width)[0]
        difference = first / np.sqrt((first**2).sum()) - second / np.sqrt((second**2).sum())
        total += (difference**2).sum() / 2
    return total / len(student)
