"""Losses of RDAL (Section 4). B: images, K: regions per image, C: classes."""

from __future__ import annotations

from torch import Tensor, nn

from .attention import anchor_constraint, euclidean_softmax, positive_constraint, scale_constraint


class EuclideanSoftmaxLoss(nn.Module):
    """Squared distance of the softmax to the labels divided by their number (Eq. 7-8).

    Summed over classes, averaged over all images of the batch. An image without labels adds 0.
    An ignored pair is left out as if the class did not exist for that image: neither its softmax
    nor its labels contain it.

    Args:
        weight: Factor of the loss.
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            logits: (B, C).
            targets: (B, C) in [0, 1].
            valid: (B, C) bool; pairs that are False take no part. None: all take part.

        Returns:
            Scalar.
        """
        return self.weight * euclidean_softmax(logits, targets, valid).mean()


class RegionConstraintLoss(nn.Module):
    """The constraints on the regions' matrices (Eq. 9-14), each with a switch and a weight.

    Summed over regions, averaged over images.

    Args:
        anchor: Whether to push the regions 2 ... K to their anchors (Eq. 9).
        scale: Whether to limit the regions' size (Eq. 10-11).
        positive: Whether to forbid mirrored regions (Eq. 12).
        anchor_weight: Lambda 1 of Eq. 13.
        scale_weight: 1 in Eq. 13.
        positive_weight: Lambda 2 of Eq. 13.
        weight: Of all of them, gamma of Eq. 14.
        alpha: Scale up to which a region is small enough.
        beta: Scale from which a region counts as not mirrored.
    """

    def __init__(
        self,
        anchor: bool = True,
        scale: bool = True,
        positive: bool = True,
        anchor_weight: float = 0.01,
        scale_weight: float = 1.0,
        positive_weight: float = 0.1,
        weight: float = 0.1,
        alpha: float = 0.5,
        beta: float = 0.1,
    ):
        super().__init__()
        for name, value in (('alpha', alpha), ('beta', beta)):
            if value < 0:
                raise ValueError(f'constraints.{name} is {value}, expected a number of at least 0')
        self.anchor = anchor
        self.scale = scale
        self.positive = positive
        self.anchor_weight = weight * anchor_weight
        self.scale_weight = weight * scale_weight
        self.positive_weight = weight * positive_weight
        self.alpha = alpha
        self.beta = beta

    def forward(self, matrices: Tensor) -> dict[str, Tensor]:
        """Weighted scalars ``loss_anchor``, ``loss_scale``, ``loss_positive``: those that are on.

        Args:
            matrices: (B, K, 2, 3).
        """
        losses = {}
        if self.anchor:
            losses['loss_anchor'] = self.anchor_weight * anchor_constraint(matrices).mean()
        if self.scale:
            scale = scale_constraint(matrices, self.alpha).mean()
            losses['loss_scale'] = self.scale_weight * scale
        if self.positive:
            positive = positive_constraint(matrices, self.beta).mean()
            losses['loss_positive'] = self.positive_weight * positive
        return losses
