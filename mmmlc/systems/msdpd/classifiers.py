"""First classifiers W_2, b_2 on the pooled features of all images (MsDPD, Section 2.4).

N: images of this process, C: classes, F: length of a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import torch
from mmengine import dist
from torch import Tensor, nn

if TYPE_CHECKING:
    from mmpretrain.models import ImageClassifier

    from .head import MsDPDHead

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


class ImageFeatures(NamedTuple):
    """What the classifiers of a head see of the images."""

    features: tuple[Tensor, ...]  # (N, F) of each scale
    targets: Tensor  # (N, C)
    valid: Tensor  # (N, C) bool, the pairs that take part in the loss


@torch.no_grad()
def image_features(model: ImageClassifier, batches: Iterable[dict]) -> ImageFeatures:
    """Run the model over batches and keep the features that its classifiers see.

    Args:
        model: Classifier with :class:`MsDPDHead`, not wrapped; it is put into
            evaluation mode and back.
        batches: Of a data loader, each with ``inputs`` and ``data_samples``.

    Raises:
        ValueError: if there is no batch.
    """
    training = model.training
    model.eval()
    found = []
    try:
        for batch in batches:
            data = model.data_preprocessor(batch, False)
            maps = model.extract_feat(data['inputs'])
            found.append(model.head.describe(maps, data['data_samples']))
    finally:
        model.train(training)
    if not found:
        raise ValueError('first classifiers: the data loader gave no batch')
    features, targets, valid = zip(*found, strict=True)
    joined = tuple(torch.cat(pieces) for pieces in zip(*features, strict=True))
    return ImageFeatures(joined, torch.cat(targets), torch.cat(valid))


def fit_classifiers(head: MsDPDHead, found: ImageFeatures, steps: int = 50) -> dict[str, float]:
    """Train the classifiers of every scale and of the fusion by J1, each alone, from zero.

    Args:
        head: :class:`MsDPDHead`.
        found: Features of this process's images.
        steps: Iterations of L-BFGS.

    Returns:
        The loss reached by each, weight decay included.
    """
    inputs = (*found.features, torch.cat(found.features, 1))
    layers = (*head.classifiers, head.fusion)
    names = (*head.scale_names, 'fused')
    return {
        name: fit_classifier(layer, x, found.targets, found.valid, head.image_loss, steps)
        for name, layer, x in zip(names, layers, inputs, strict=True)
    }


def fit_classifier(
    layer: nn.Linear,
    features: Tensor,
    targets: Tensor,
    valid: Tensor,
    loss: Loss,
    steps: int = 50,
    decay: float = 5e-4,
) -> float:
    """Train a linear layer on all images at once, from zero, by L-BFGS.

    With several processes, each has the features of its images; losses and gradients are averaged
    in every evaluation, so that all find the same weights.

    Args:
        layer: From F to C; its weights are replaced.
        features: (N, F).
        targets: (N, C).
        valid: (N, C) bool.
        loss: Mean loss of logits, targets and valid.
        steps: Iterations.
        decay: Weight decay, by default as in the paper's training.

    Returns:
        The loss reached, decay included.
    """
    # The same problem at unit scale, as in fit_detectors.
    unit = _mean(features.square().mean()).sqrt().clamp(min=1e-12)
    scaled = features / unit
    weight = torch.zeros_like(layer.weight, requires_grad=True)
    bias = torch.zeros_like(layer.bias, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=steps, history_size=10, line_search_fn='strong_wolfe'
    )

    def closure() -> Tensor:
        value = loss(scaled @ weight.T + bias, targets, valid)
        value = value + decay / 2 * (weight / unit).square().sum()
        gradients = torch.autograd.grad(value, (weight, bias))
        weight.grad, bias.grad = (_mean(gradient) for gradient in gradients)
        return _mean(value.detach())

    with torch.enable_grad():
        optimizer.step(closure)
        reached = float(closure())
    with torch.no_grad():
        layer.weight.copy_(weight / unit)
        layer.bias.copy_(bias)
    return reached


def _mean(values: Tensor) -> Tensor:
    """Mean over the processes."""
    values = values.clone()
    dist.all_reduce(values, 'mean')
    return values
