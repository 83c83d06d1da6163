"""Naive references of SCA-DNN in NumPy: one loop per index, to be read, not to be fast."""

from __future__ import annotations

import numpy as np


def expand(box, factor, size):
    """One box x1, y1, x2, y2 and the (width, height) of its image."""
    x1, y1, x2, y2 = box
    width, height = (x2 - x1) * factor, (y2 - y1) * factor
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return [min(max(0, value), end) for value, end in zip(corners, [*size, *size], strict=True)]


def context_labels(contexts, images, boxes, box_images, box_labels, num_classes):
    labels = np.zeros((len(contexts), num_classes))
    for p, (context, image) in enumerate(zip(contexts, images, strict=True)):
        for box, box_image, label in zip(boxes, box_images, box_labels, strict=True):
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            inside = context[0] <= x <= context[2] and context[1] <= y <= context[3]
            if image == box_image and inside:
                labels[p, label] = 1
    return labels


def image_scores(confidence, objects, contexts, branch, valid):
    """Inputs (B, P), (B, P, C), (B, P, C), and valid (B, P)."""
    scores = np.zeros((len(objects), objects.shape[-1]))
    for b in range(len(objects)):
        for p in range(objects.shape[1]):
            for c in range(objects.shape[2]):
                label = {
                    'both': (objects[b, p, c] + contexts[b, p, c]) / 2,
                    'object': objects[b, p, c],
                    'context': contexts[b, p, c],
                }[branch]
                if valid[b, p]:
                    scores[b, c] = max(scores[b, c], confidence[b, p] * label)
    return scores


def cross_entropy(logit, target):
    p = 1 / (1 + np.exp(-logit))
    return -(target * np.log(p) + (1 - target) * np.log(1 - p))


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return common / (sum(areas) - common)


def patch_ious(patches, regressed, boxes, least):
    """Means (before, after) over matched patches, and (before, after) over true boxes."""
    before, after = [], []
    for patch, moved in zip(patches, regressed, strict=True):
        overlaps = [iou(patch, box) for box in boxes]
        best = int(np.argmax(overlaps))
        if overlaps[best] >= least:
            before.append(overlaps[best])
            after.append(iou(moved, boxes[best]))
    best = [[max(iou(p, box) for p in rows) for box in boxes] for rows in (patches, regressed)]
    return np.mean(before), np.mean(after), np.mean(best[0]), np.mean(best[1])
