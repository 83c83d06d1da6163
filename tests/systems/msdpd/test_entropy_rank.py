"""The entropy rank on ToyScenes of one kind: parts of objects first, pure background last."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from mmmlc.systems.msdpd.clusters import MinedScale, mine_scale
from mmmlc.systems.msdpd.sampling import ScalePoints
from mmmlc.toy_scenes import scenes

IMAGES, SIDE, CELLS = 240, 96, 12


def one_scene_only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Draw one place only.

    In all of ToyScenes places go with classes, so that water means a boat. On a meadow alone the
    background goes with no class, and four of the five bodies are about equally frequent.
    """
    monkeypatch.setattr(scenes, '_sample_scene', lambda rng: scenes.SCENES[name])


def draw() -> tuple[ScalePoints, torch.Tensor, np.ndarray]:
    """Mean and spread of the colours of each cell; labels; the share of the cell in a box."""
    points, labels, covered = [], torch.zeros(IMAGES, 20, dtype=torch.uint8), []
    cell = SIDE // CELLS
    for index in range(IMAGES):
        image, objects = scenes.draw_scene(0, 'train', index, SIDE)
        cells = image.reshape(CELLS, cell, CELLS, cell, 3).transpose(0, 2, 1, 3, 4)
        cells = cells.reshape(CELLS**2, cell**2, 3) / 255
        points.append(np.concatenate((cells.mean(1), cells.std(1)), 1))
        inside = np.zeros((SIDE, SIDE))
        for toy in objects:
            labels[index, toy.label] = 1
            x, y, w, h = (round(v) for v in toy.bbox)
            inside[y : y + h, x : x + w] = 1
        covered.append(inside.reshape(CELLS, cell, CELLS, cell).mean((1, 3)).ravel())
    images = torch.arange(IMAGES).repeat_interleave(CELLS**2)
    locations = torch.arange(CELLS**2).repeat(IMAGES)
    flat = torch.from_numpy(np.concatenate(points)).float()
    return ScalePoints(flat, images, locations, (CELLS, CELLS)), labels, np.concatenate(covered)


def cover_of_clusters(mined: MinedScale, covered: np.ndarray) -> np.ndarray:
    """Share of the members that lies in a box, of the clusters in the order of their entropy."""
    assignments = mined.assignments.numpy()
    return np.array([covered[assignments == c].mean() for c in mined.ranking.order.tolist()])


def test_background_ranks_last(monkeypatch):
    one_scene_only(monkeypatch, 'meadow')
    sampled, labels, covered = draw()
    mined = mine_scale(sampled, labels, clusters=60, keep=60, min_size=100, steps=0)
    cover = cover_of_clusters(mined, covered)
    fifths = [part.mean() for part in np.array_split(cover, 5)]
    assert fifths[-1] < 0.2 and fifths[0] > 0.6  # measured: 0.11 and 0.89
    assert spearmanr(np.arange(len(cover)), cover).statistic < -0.6
