"""RDAL's equations one by one, naive NumPy in float64: one loop per index, to be read."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    weights = np.exp(x - x.max())
    return weights / weights.sum()


def spatial_transformer(feature, matrix, size):
    """Eq. 1-2: feature (F, h, w), matrix (2, 3); (F, size, size), zero outside of the map.

    Cells are squares: in a row of n, cell i reaches from -1 + 2 i / n to -1 + 2 (i + 1) / n.
    """
    channels, h, w = feature.shape
    out = np.zeros((channels, size, size))
    for i in range(size):
        for j in range(size):
            x, y = (2 * j + 1) / size - 1, (2 * i + 1) / size - 1
            u, v = matrix @ np.array([x, y, 1.0])
            column, row = ((u + 1) * w - 1) / 2, ((v + 1) * h - 1) / 2
            for r in range(h):
                for c in range(w):
                    weight = max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - c))
                    out[:, i, j] += weight * feature[:, r, c]
    return out


def max_pool(feature, window):
    channels, side, _ = feature.shape
    side //= window
    out = np.zeros((channels, side, side))
    for i in range(side):
        for j in range(side):
            rows = slice(i * window, (i + 1) * window)
            columns = slice(j * window, (j + 1) * window)
            out[:, i, j] = feature[:, rows, columns].max((1, 2))
    return out


def recurrent_attention(feature, weights, num_regions, size, pool):
    """Eq. 1-6 for one image: lists over k = 1 ... K of s_k, h_k, x_k and M_k, and the fused s.

    ``weights`` holds the matrices under the paper's names: fx, xi, hi, ..., hz, zs, zm, and the
    biases x, i, g, o, m, z, s, and m_loc of the localisation.
    """
    width = len(weights['z'])
    h, c = np.zeros(width), np.zeros(width)
    matrix = np.array([[1.0, 0, 0], [0, 1, 0]])  # Eq. 3
    scores, states, sampled, matrices = [], [], [], []
    for k in range(num_regions + 1):
        region = max_pool(spatial_transformer(feature, matrix, size), pool)
        x = relu(weights['fx'] @ region.ravel() + weights['x'])
        total = {n: weights[f'x{n}'] @ x + weights[f'h{n}'] @ h + weights[n] for n in 'igom'}
        i, g, o = (sigmoid(total[n]) for n in 'igo')
        c = g * c + i * np.tanh(total['m'])
        h = o * c
        z = relu(weights['hz'] @ h + weights['z'])
        if k > 0:
            scores.append(weights['zs'] @ z + weights['s'])
            states.append(h)
            sampled.append(x)
            matrices.append(matrix)
        s_x, s_y, t_x, t_y = weights['zm'] @ z + weights['m_loc']
        matrix = np.array([[s_x, 0, t_x], [0, s_y, t_y]])
    fused = np.array([max(s[n] for s in scores) for n in range(len(scores[0]))])  # Eq. 6
    return scores, states, sampled, matrices, fused


def classification_loss(logits, labels):
    """Eq. 7-8: (B, C) each; an image without labels counts in B and adds nothing."""
    total = 0.0
    for scores, y in zip(logits, labels, strict=True):
        if y.sum() == 0:
            continue
        p = softmax(scores)
        for n in range(len(y)):
            total += (p[n] - y[n] / y.sum()) ** 2
    return total / len(logits)


def anchor_points(num_regions):
    """On the circle through (0.5, 0.5), evenly from 45 degrees on; in any order."""
    steps = num_regions - 1
    angles = [math.radians(45 + 360 * j / steps) for j in range(steps)]
    return [(math.sqrt(2) / 2 * math.cos(a), math.sqrt(2) / 2 * math.sin(a)) for a in angles]


def anchor_loss(matrices, anchors):
    """Eq. 9: matrices (K, 2, 3) of an image, anchors of the regions 2 ... K."""
    total = 0.0
    for matrix, (c_x, c_y) in zip(matrices[1:], anchors, strict=True):
        total += 0.5 * ((matrix[0, 2] - c_x) ** 2 + (matrix[1, 2] - c_y) ** 2)
    return total


def scale_loss(matrices, alpha):
    """Eq. 10-11."""
    total = 0.0
    for matrix in matrices:
        total += max(abs(matrix[0, 0]) - alpha, 0) ** 2 + max(abs(matrix[1, 1]) - alpha, 0) ** 2
    return total


def positive_loss(matrices, beta):
    """Eq. 12."""
    return sum(max(0, beta - m[0, 0]) + max(0, beta - m[1, 1]) for m in matrices)
