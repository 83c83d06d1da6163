"""Losses on multi-label logits. B: images, C: classes.

All of them average over images *and* classes unless told otherwise, leave out the pairs that are
not valid (several processes divide by the same number of pairs, so that they train as one does),
and compute in float32 also under AMP (float64 stays). They and their gradients are finite for all
finite logits: those beyond 1e20 cost as much as 1e20.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import check_choice
from .precision import bounded, full

LARGEST_LOGIT = 1e20
LARGEST_WEIGHT = 1e6


class MultiLabelBCELoss(nn.Module):
    """Binary cross-entropy, averaged over images *and* classes (MCAR, Eq. 9).

    mmpretrain's heads divide by the number of images only; MCAR's published learning rates belong
    to the mean over both.

    Args:
        weight: Factor of the loss.
        pos_weight: Per class, a factor of the loss of its positives; above 1 favours recall. None:
            1 for all, or what :class:`mmmlc.engine.hooks.ClassWeightHook` computes from the
            training labels. Not kept in checkpoints.

    Examples:
        >>> import torch
        >>> MultiLabelBCELoss()(torch.zeros(2, 3), torch.ones(2, 3))
        tensor(0.6931)
        >>> MultiLabelBCELoss(pos_weight=[1, 2, 3])(torch.zeros(2, 3), torch.ones(2, 3))
        tensor(1.3863)
    """

    def __init__(self, weight: float = 1.0, pos_weight: Sequence[float] | None = None):
        super().__init__()
        self.weight = weight
        self.register_buffer('pos_weight', None, persistent=False)
        if pos_weight is not None:
            self.set_pos_weight(torch.as_tensor(pos_weight, dtype=torch.float32))

    def set_pos_weight(self, pos_weight: Tensor) -> None:
        """Take the factors (C,) of the positives; ValueError unless all are in (0, 1e6]."""
        wrong = ~((pos_weight > 0) & (pos_weight <= LARGEST_WEIGHT))
        if pos_weight.ndim != 1 or wrong.any():
            found = tuple(pos_weight.shape) if pos_weight.ndim != 1 else pos_weight[wrong].tolist()
            raise ValueError(
                f'loss.pos_weight: expected (C,) numbers above 0, at most 1e6, got {found}'
            )
        self.pos_weight = pos_weight

    def forward(self, logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            logits: (B, C).
            targets: (B, C) in [0, 1].
            valid: (B, C) bool; pairs that are False take no part. None: all take part.

        Returns:
            Scalar; 0 when nothing is valid.
        """
        if self.pos_weight is not None and len(self.pos_weight) != logits.shape[1]:
            raise ValueError(
                f'loss.pos_weight has {len(self.pos_weight)} values, the logits have '
                f'{logits.shape[1]} classes'
            )
        logits = bounded(full(logits), LARGEST_LOGIT)
        loss = F.binary_cross_entropy_with_logits(
            logits, targets.to(logits.dtype), pos_weight=self.pos_weight, reduction='none'
        )
        return self.weight * _reduce(loss, valid, 'mean')


class AsymmetricLoss(nn.Module):
    """Asymmetric loss: easy negatives count less than positives, the easiest nothing.

    Ridnik et al., Asymmetric Loss for Multi-Label Classification, ICCV 2021: with the score p and
    its shifted value ``p_m = max(p - clip, 0)``, a positive costs ``-(1 - p)^gamma_pos log(p)`` and
    a negative ``-p_m^gamma_neg log(1 - p_m)``. With both exponents and ``clip`` 0 it is the binary
    cross-entropy.

    ``mmpretrain.AsymmetricLoss`` has the same values for labels 0 and 1. It has no mask of pairs,
    and no gradient where a positive has a score below 1e-8.

    Args:
        gamma_pos: Exponent for positives, at least 0.
        gamma_neg: Exponent for negatives, at least 0.
        clip: Shift of the negatives' scores, in [0, 1).
        reduction: ``'mean'`` over valid pairs, as in :class:`MultiLabelBCELoss`, or ``'sum'`` over
            them, as in the authors' code, which makes the gradient B * C times as large (Adam does
            not care, SGD and gradient clipping do). Processes average their sums.
        detach_focus: Whether no gradient flows through the powers, as in the authors' training.
        weight: Factor of the loss.

    Examples:
        >>> import torch
        >>> AsymmetricLoss(clip=0)(torch.zeros(1, 2), torch.tensor([[1, 0]]))  # ln 2 (1 + 1/16) / 2
        tensor(0.3682)
    """

    def __init__(
        self,
        gamma_pos: float = 0.0,
        gamma_neg: float = 4.0,
        clip: float = 0.05,
        reduction: str = 'mean',
        detach_focus: bool = False,
        weight: float = 1.0,
    ):
        super().__init__()
        for name, value in (('gamma_pos', gamma_pos), ('gamma_neg', gamma_neg)):
            if not value >= 0:
                raise ValueError(f'loss.{name} is {value}, expected a number of at least 0')
        if not 0 <= clip < 1:
            raise ValueError(f'loss.clip is {clip}, expected a number in [0, 1)')
        check_choice('loss.reduction', reduction, ('mean', 'sum'))
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.clip = clip
        self.reduction = reduction
        self.detach_focus = detach_focus
        self.weight = weight

    def forward(self, logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute the loss; arguments and result as of :class:`MultiLabelBCELoss`."""
        logits = bounded(full(logits), LARGEST_LOGIT)
        targets = targets.to(logits.dtype)
        # A base of 0 has no finite slope for exponents below 1.
        tiny = torch.finfo(logits.dtype).tiny
        miss = (-logits).sigmoid().clamp(min=tiny)
        shifted = (logits.sigmoid() - self.clip).clamp(min=tiny)
        focus_pos, focus_neg = miss**self.gamma_pos, shifted**self.gamma_neg
        if self.detach_focus:
            focus_pos, focus_neg = focus_pos.detach(), focus_neg.detach()
        # Without a shift 1 - p can round to 0, so its logarithm comes from the logits.
        negative = -torch.log1p(-shifted) if self.clip else F.softplus(logits)
        positive = F.softplus(-logits)
        loss = targets * focus_pos * positive + (1 - targets) * focus_neg * negative
        return self.weight * _reduce(loss, valid, self.reduction)


def _reduce(loss: Tensor, valid: Tensor | None, reduction: str) -> Tensor:
    if valid is not None:
        loss = loss * valid
    if reduction == 'sum':
        return loss.sum()
    pairs = loss.new_full((), loss.numel()) if valid is None else valid.sum().to(loss)
    return loss.sum() / mean_of_processes(pairs, loss.requires_grad).clamp(min=1)


def mean_of_processes(count: Tensor, training: bool) -> Tensor:
    """The mean of a count over all processes of a training, on each of them.

    The gradients of a training are averaged over its processes, so a mean over pairs has to divide
    by the same number in each: else a pair counts less where more of them are known.

    Args:
        count: Any shape.
        training: Whether all processes are here; an evaluation can have different numbers of
            batches, and is left as it is.
    """
    if not (training and dist.is_available() and dist.is_initialized()):
        return count
    count = count.clone()
    dist.all_reduce(count)
    return count / dist.get_world_size()
