"""Naive NumPy references of weakly supervised detection: one loop per index of the definition."""

from __future__ import annotations

import numpy as np


def roi_pool(maps, boxes, size):
    """Maps (D, h, w) and boxes (R, 4) in cells: (R, D, size, size). Caffe's rule: corners rounded
    (half up), the last cell inside, cells of 0 where a bin is outside of the map."""
    channels, height, width = maps.shape
    result = np.zeros((len(boxes), channels, size, size))
    for r, box in enumerate(boxes):
        x1, y1, x2, y2 = (int(np.floor(value + 0.5)) for value in box)
        bin_h, bin_w = max(y2 - y1 + 1, 1) / size, max(x2 - x1 + 1, 1) / size
        for i in range(size):
            for j in range(size):
                top, bottom = y1 + int(np.floor(i * bin_h)), y1 + int(np.ceil((i + 1) * bin_h))
                left, right = x1 + int(np.floor(j * bin_w)), x1 + int(np.ceil((j + 1) * bin_w))
                part = maps[:, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
                result[r, :, i, j] = part.max((1, 2)) if part.size else 0
    return result


def region_scores(class_logits, detection_logits, valid=None, t_class=None, t_detection=None):
    """Eq. 7 for one image: logits (R, C), temperatures (C,) and (R,)."""
    regions, classes = class_logits.shape
    valid = np.ones(regions, bool) if valid is None else valid
    t_class = np.ones(classes) if t_class is None else t_class
    t_detection = np.ones(regions) if t_detection is None else t_detection
    scores = np.zeros((regions, classes))
    for r in range(regions):
        if not valid[r]:
            continue
        for k in range(classes):
            over_k = sum(np.exp(class_logits[r, j] / t_class[j]) for j in range(classes))
            over_r = sum(
                np.exp(detection_logits[q, k] / t_detection[q]) for q in range(regions) if valid[q]
            )
            scores[r, k] = np.exp(class_logits[r, k] / t_class[k]) / over_k
            scores[r, k] *= np.exp(detection_logits[r, k] / t_detection[r]) / over_r
    return scores


def image_loss(scores, targets, valid, clamp):
    """Scores, targets and valid (B, C)."""
    total = 0.0
    for n in range(len(scores)):
        for k in range(scores.shape[1]):
            p = min(max(scores[n, k], clamp), 1 - clamp)
            if valid[n, k]:
                total -= targets[n, k] * np.log(p) + (1 - targets[n, k]) * np.log(1 - p)
    return total / len(scores)


def iou(a, b):
    """Of two boxes."""
    w = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    h = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return w * h / (areas - w * h)


def spatial_regulariser(scores, vectors, boxes, targets, threshold, top):
    """Scores (B, R, C), vectors (B, R, V), boxes (B, R, 4), targets (B, C)."""
    total = 0.0
    for n in range(len(scores)):
        for k in np.flatnonzero(targets[n]):
            order = np.argsort(-scores[n, :, k])[:top]
            for r in order[1:]:
                if iou(boxes[n, order[0]], boxes[n, r]) > threshold:
                    difference = scores[n, r, k] * (vectors[n, r] - vectors[n, order[0]])
                    total += 0.5 * (difference**2).sum()
    return total / len(scores)


def nms(boxes, scores, threshold):
    """Greedy non-maximum suppression of one image and class: indices, best first."""
    kept = []
    for r in np.argsort(-scores):
        if all(iou(boxes[r], boxes[q]) <= threshold for q in kept):
            kept.append(int(r))
    return kept


def detections(scores, boxes, threshold, min_score, top):
    """Of one image, scores (R, C): (score, class, region), best first. The best region of each
    class has its place in any case."""
    leading, others = [], []
    for k in range(scores.shape[1]):
        best, *rest = nms(boxes, scores[:, k], threshold)
        leading.append((scores[best, k], k, best))
        others += [(scores[r, k], k, r) for r in rest if scores[r, k] > min_score]
    return sorted(leading + sorted(others, reverse=True)[: top - len(leading)], reverse=True)
