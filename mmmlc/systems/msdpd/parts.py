"""Part detectors: locations sampled from maps, clusters of them, their rank by entropy.

MsDPD (Cheng et al., IJCAI 2018), Section 2.2 and Eq. 2 and 7.

B: images, C: classes, D: channels, M: locations of a map, P: sampled points, Q: clusters, K: part
detectors.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmmlc.ops.precision import bounded, full

# Products of larger ones, summed over channels, do not fit into float32.
LARGEST = 1e15


class Ranking(NamedTuple):
    """What is known of Q clusters."""

    order: Tensor  # (K',) clusters that are large enough, lowest entropy first; K' <= K
    entropy: Tensor  # (Q,) in nats; infinite where no member comes from a labelled image
    shares: Tensor  # (Q, C) share of the members' labels that each class has; rows sum to 1 or 0
    sizes: Tensor  # (Q,) members


def part_probabilities(
    features: Tensor, weight: Tensor, bias: Tensor, used: Tensor | None = None
) -> Tensor:
    """Probability of each part at each location: softmax over the detectors (Eq. 2).

    Args:
        features: (B, D, M).
        weight: W_1 transposed, (K, D).
        bias: b_1 (K,).
        used: (K,) bool; detectors that are not used get 0 everywhere. At least one must be.

    Returns:
        O (B, K, M), float32 also under AMP; sums to 1 over the detectors.
    """
    # In half precision the logits of sharp detectors overflow, and the softmax of infinity is NaN.
    with torch.autocast(features.device.type, enabled=False):
        weight, features, bias = (bounded(full(x), LARGEST) for x in (weight, features, bias))
        logits = torch.matmul(weight, features) + bias[:, None]
    if used is not None:
        logits = logits.masked_fill(~used[:, None], -torch.inf)
    return logits.softmax(1)


def sample_locations(
    features: Tensor, count: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw ``count`` different locations of every map.

    Args:
        features: (B, D, M).
        count: Locations an image, at most M are taken.
        generator: Source of randomness, on the device of the features.

    Returns:
        Points (B, count, D) and their locations (B, count), indices below M.
    """
    noise = torch.rand(
        features.shape[0], features.shape[2], generator=generator, device=features.device
    )
    locations = noise.topk(min(count, features.shape[2]), dim=1).indices
    points = features.gather(2, locations[:, None].expand(-1, features.shape[1], -1))
    return points.mT, locations


def rank_clusters(
    assignments: Tensor, labels: Tensor, clusters: int, keep: int, min_size: int = 1
) -> Ranking:
    """Rank clusters by the entropy of the classes their members come from (Eq. 1).

    A member counts for each label of its image. Our choices where the paper says nothing: the
    shares are normalised to sum 1; members from images without labels count for the size only; a
    cluster with no other members has infinite entropy, that is, ranks last.

    Args:
        assignments: (P,) cluster of each point.
        labels: (P, C) 0/1 labels of the image each point comes from.
        clusters: Q.
        keep: K, detectors wanted.
        min_size: Members a cluster must have to be kept ("sufficiently large"; the size is ours).

    Raises:
        ValueError: if no cluster has ``min_size`` members.
    """
    sizes = torch.bincount(assignments, minlength=clusters)
    counts = labels.new_zeros(clusters, labels.shape[1], dtype=torch.float64)
    counts.index_add_(0, assignments, labels.double())
    total = counts.sum(1, keepdim=True)
    shares = counts / total.clamp(min=1)
    entropy = torch.special.entr(shares).sum(1).masked_fill(total[:, 0] == 0, torch.inf)
    large = torch.nonzero(sizes >= min_size)[:, 0]
    if not len(large):
        raise ValueError(
            f'no cluster has min_size={min_size} members, the largest has {int(sizes.max())}: '
            'sample more locations or ask for fewer clusters'
        )
    order = large[entropy[large].argsort(stable=True)][:keep]
    return Ranking(order, entropy, shares, sizes)


def initial_detectors(centres: Tensor, sharpness: float = 1.0) -> tuple[Tensor, Tensor]:
    """W_1, b_1 under which the softmax of Eq. 2 is that of ``-sharpness / 2 * |x - centre|^2``.

    The nearest centre is then the most likely part, whatever the lengths of the centres. Our start
    for training by Eq. 7, which on the clusters' members converges to such detectors.

    Args:
        centres: (K, D).
        sharpness: Inverse variance of a cluster.

    Returns:
        Weight (K, D) and bias (K,).
    """
    return sharpness * centres, -sharpness / 2 * centres.square().sum(1)


def confident_locations(parts: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the ``count`` most confident locations of each detector over all images (Section 2.3).

    Args:
        parts: O (B, K, M).
        count: t, at most B * M are taken.

    Returns:
        Images (K, t) and locations (K, t), most confident first.
    """
    images, detectors, locations = parts.shape
    flat = parts.transpose(0, 1).reshape(detectors, images * locations)
    best = flat.topk(min(count, images * locations), dim=1).indices
    return best // locations, best % locations


def part_loss(parts: Tensor, count: int, used: Tensor | None = None) -> Tensor:
    """J3: cross-entropy of the ``count`` most confident locations of each detector (Eq. 7).

    The instances are mined from ``parts`` itself, that is, again at every call.

    Args:
        parts: O (B, K, M), float32.
        count: t.
        used: (K,) bool; detectors that are not used are left out of the mean.

    Returns:
        Scalar.
    """
    images, locations = confident_locations(parts.detach(), count)
    detectors = torch.arange(parts.shape[1], device=parts.device)[:, None]
    # The smallest normal float32: log of 0 would have no finite gradient.
    losses = -full(parts[images, detectors, locations]).clamp(min=1e-38).log().mean(1)
    if used is None:
        return losses.mean()
    return torch.where(used, losses, 0).sum() / used.sum()
