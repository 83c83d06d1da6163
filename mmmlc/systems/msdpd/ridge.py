"""Which ridge suits the pooling of each scale: what phi still says, and classifiers on it.

N: images, K: part detectors, C: classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmmlc.ops.scores import average_precision

from .classifiers import fit_classifier
from .task_driven import task_driven_pool

if TYPE_CHECKING:
    from mmpretrain.models import ImageClassifier


class PooledScale(NamedTuple):
    """Features of all images for one scale, by the name of the pooling."""

    features: dict[str, Tensor]  # (N, K) of unit length
    ones: dict[str, Tensor]  # (N,) cosine to the all-ones vector
    average: dict[str, Tensor]  # (N,) cosine to average pooling


class RidgeRow(NamedTuple):
    """One pooling of one scale."""

    pooling: str  # 'average', 'max', or the ridge
    varying: float  # share of the squared length that differs between images, in [0, 1]
    ones: float  # mean cosine to the all-ones vector
    average: float  # mean cosine to average pooling
    mean_ap: float  # of linear classifiers on it, in [0, 1]


@torch.no_grad()
def pool_images(
    model: ImageClassifier, batches: Iterable[dict], ridges: Sequence[float]
) -> tuple[list[PooledScale], Tensor, Tensor]:
    """Pool the part maps of every scale with several ridges, in one pass over the images.

    Args:
        model: Classifier with :class:`MsDPDHead`, with part detectors, not wrapped.
        batches: Of a data loader.
        ridges: Values of r relative to M.

    Returns:
        The scales, targets (N, C), and the mask (N, C) of pairs that count.
    """
    model.eval()
    found, labels = [], []
    for batch in batches:
        data = model.data_preprocessor(batch, False)
        maps = model.extract_feat(data['inputs'])
        _, targets, valid = model.head.describe(maps, data['data_samples'])
        pairs = zip(model.head.detectors, model.head.indices, strict=True)
        found.append([_pool(scale.maps(maps[index]), scale.used, ridges) for scale, index in pairs])
        labels.append((targets, valid))
    scales = [_join(pieces) for pieces in zip(*found, strict=True)]
    targets, valid = (torch.cat(pieces) for pieces in zip(*labels, strict=True))
    return scales, targets, valid


def _pool(parts: Tensor, used: Tensor, ridges: Sequence[float]) -> PooledScale:
    poolings = {'average': parts.mean(2), 'max': parts.amax(2)}
    poolings |= {f'{ridge:g}': task_driven_pool(parts, ridge) for ridge in ridges}
    features = {name: F.normalize(phi, dim=1) for name, phi in poolings.items()}
    all_ones = F.normalize(used.float(), dim=0)
    return PooledScale(
        features,
        {name: phi @ all_ones for name, phi in features.items()},
        {name: (phi * features['average']).sum(1) for name, phi in features.items()},
    )


def _join(pieces: Sequence[PooledScale]) -> PooledScale:
    return PooledScale(
        *(
            {name: torch.cat([piece[field][name] for piece in pieces]) for name in pieces[0][field]}
            for field in range(len(PooledScale._fields))
        )
    )


def varying_share(features: Tensor) -> float:
    """Share of the squared length of vectors (N, K) that is not the same for all of them.

    0: all are equal, they say nothing about the image.
    """
    variance = features.var(0, correction=0).sum()
    return float(variance / features.square().sum(1).mean())


def ridge_rows(
    train: PooledScale,
    test: PooledScale,
    train_labels: tuple[Tensor, Tensor],
    test_labels: tuple[Tensor, Tensor],
    loss: nn.Module,
    steps: int = 100,
) -> list[RidgeRow]:
    """Compare the poolings of a scale.

    Args:
        train: Features that the classifiers learn from.
        test: Features that they are tested on.
        train_labels: Targets and mask of the first.
        test_labels: Of the second.
        loss: J1.
        steps: Iterations of the classifiers.
    """
    rows = []
    for name, features in train.features.items():
        width = features.shape[1] ** 0.5  # the head's length of a feature
        layer = nn.Linear(features.shape[1], train_labels[0].shape[1]).to(features.device)
        fit_classifier(layer, width * features, *train_labels, loss, steps)
        with torch.no_grad():
            scores = layer(width * test.features[name])
        precision = average_precision(scores, *test_labels)
        rows.append(
            RidgeRow(
                name,
                varying_share(test.features[name]),
                float(test.ones[name].mean()),
                float(test.average[name].mean()),
                float(precision.nanmean()),
            )
        )
    return rows
