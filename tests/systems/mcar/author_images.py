"""Rule-made images, so that anyone can make the input of reference outputs without photographs."""

from __future__ import annotations

import numpy as np

SIDE, TERMS = 256, 12


def rule_image(index: int) -> np.ndarray:
    """Image ``index``: waves and a blob, (256, 256, 3) uint8 RGB."""
    random = np.random.RandomState(1000 + index)
    x, y = np.arange(SIDE) / SIDE, np.arange(SIDE)[:, None] / SIDE
    image = np.zeros((SIDE, SIDE, 3))
    for channel in range(3):
        for _ in range(TERMS):
            fx, fy = random.uniform(-6, 6), random.uniform(-6, 6)
            phase, amplitude = random.uniform(0, 2 * np.pi), random.uniform(0.2, 1)
            image[..., channel] += amplitude * np.cos(2 * np.pi * (fx * x + fy * y) + phase)
    cx, cy, spread = random.uniform(0.2, 0.8), random.uniform(0.2, 0.8), random.uniform(0.05, 0.2)
    blob = 6 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * spread**2))
    image += blob[..., None] * random.uniform(-1, 1, 3)
    image -= image.min()
    return np.round(image / image.max() * 255).astype(np.uint8)
