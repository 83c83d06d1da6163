"""What a student learns from a teacher: the losses of KD-WSD and of the methods it compares with.

Each is called with the outputs of both networks and holds the parameters it needs (1x1
convolutions, temperatures), so that the optimiser sees them and checkpoints keep them.

B: images, R: proposals, T: kept proposals, C: classes, D: channels, (h, w): map size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from mmmlc.ops.checks import check_choice
from mmmlc.ops.precision import bounded, full

from .distillation import attention_loss, hint_loss, prediction_loss, roi_feature_loss
from .weak_detection import image_scores, region_scores

KINDS = ('squared', 'cross_entropy')
# Of temperatures: logits divided by less are not finite.
LEAST, MOST = 1e-6, 1e6
Given = TypeVar('Given')


class TeacherOutput(NamedTuple):
    """What the teacher knows about a batch; None where no loss uses it. Without gradient."""

    maps: tuple[Tensor, ...] | None = None  # (B, D, h, w) each
    class_logits: Tensor | None = None  # (B, R, C), M^c
    detection_logits: Tensor | None = None  # (B, R, C), M^d
    valid: Tensor | None = None  # (B, R) bool
    boxes: Tensor | None = None  # (B, T, 4) kept proposals, fractions of the image
    objectness: Tensor | None = None  # (B, T), s'

    def detections(self) -> tuple[Tensor, Tensor, Tensor]:
        """Both logits and ``valid``; ValueError if they are None."""
        return (
            given(self.class_logits, 'teacher.class_logits'),
            given(self.detection_logits, 'teacher.detection_logits'),
            given(self.valid, 'teacher.valid'),
        )


class StudentOutput(NamedTuple):
    """What the student makes of the same batch."""

    maps: tuple[Tensor, ...]  # (B, D, h, w) each
    logits: Tensor | None = None  # (B, C)


def given(value: Given | None, name: str) -> Given:
    """A value that must not be None.

    Raises:
        ValueError: if it is; a loss gets of the teacher only what it names in ``uses``.
    """
    if value is None:
        raise ValueError(f'{name} is None, but a distillation loss needs it: see its `uses`')
    return value


class LayerPairs(nn.Module):
    """Maps of the student beside those of the teacher, with its channels (``psi`` of Eq. 4).

    Args:
        student_channels: Of each chosen layer; one number for a single layer.
        teacher_channels: Likewise. Where the two differ the student's map passes a 1x1 convolution.
        student_layers: Indices into the outputs of the student's backbone (``out_indices``).
        teacher_layers: Likewise.
    """

    def __init__(
        self,
        student_channels: int | Sequence[int],
        teacher_channels: int | Sequence[int],
        student_layers: Sequence[int] = (-1,),
        teacher_layers: Sequence[int] = (-1,),
    ):
        super().__init__()
        self.channels = [
            (c,) if isinstance(c, int) else tuple(c) for c in (student_channels, teacher_channels)
        ]
        self.layers = [tuple(student_layers), tuple(teacher_layers)]
        counts = {len(values) for values in (*self.channels, *self.layers)}
        if len(counts) != 1 or counts == {0}:
            raise ValueError(
                f'a distillation loss has student_channels={self.channels[0]}, '
                f'teacher_channels={self.channels[1]}, student_layers={self.layers[0]}, '
                f'teacher_layers={self.layers[1]}, expected as many of each'
            )
        self.adapters = nn.ModuleList(
            nn.Identity() if ours == theirs else nn.Conv2d(ours, theirs, kernel_size=1)
            for ours, theirs in zip(*self.channels, strict=True)
        )
        for layer in self.adapters.children():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode='fan_in', nonlinearity='linear')
                nn.init.zeros_(given(layer.bias, 'bias'))

    def forward(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...] | None
    ) -> list[tuple[Tensor, Tensor]]:
        """Pairs of maps with equal channels; ValueError where a layer is not as configured."""
        pairs = []
        for adapter, i, j, ours, theirs in zip(
            self.adapters, *self.layers, *self.channels, strict=True
        ):
            maps = adapter(_output('student', student, i, ours))
            pairs.append((maps, _output('teacher', teacher, j, theirs)))
        return pairs


def _output(
    side: str, maps: tuple[Tensor, ...] | None, index: int, channels: int | None = None
) -> Tensor:
    """A map of the student or the teacher, checked."""
    maps = given(maps, f'{side}.maps')
    if not -len(maps) <= index < len(maps):
        raise ValueError(
            f'{side}_layers asks for output {index} of the {side}, whose backbone returns '
            f'{len(maps)}: see its out_indices'
        )
    chosen = maps[index]
    if chosen.ndim != 4 or channels not in (None, chosen.shape[1]):
        expected = f'(B, {channels or "D"}, h, w)'
        raise ValueError(
            f'output {index} of the {side} has shape {tuple(chosen.shape)}, expected {expected}: '
            f'see {side}_channels of the loss'
        )
    return chosen


class RoIFeatureLoss(nn.Module):
    """RoI-aware distillation of features, ``sum_l L_f^l`` (KD-WSD, Eq. 3-4).

    Args:
        student_channels: See :class:`LayerPairs`, as ``teacher_channels`` and the layers; by
            default the last map of both.
        pool_size: Rows and columns of a pooled region.
        weighted: Whether regions count by their objectness s'; without, it is Table 4's "NMS
            proposals transfer".
        weight: Factor of the loss.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'maps', 'regions'})

    def __init__(
        self,
        student_channels: int | Sequence[int],
        teacher_channels: int | Sequence[int],
        student_layers: Sequence[int] = (-1,),
        teacher_layers: Sequence[int] = (-1,),
        pool_size: int = 7,
        weighted: bool = True,
        weight: float = 1.0,
    ):
        super().__init__()
        self.pairs = LayerPairs(student_channels, teacher_channels, student_layers, teacher_layers)
        self.pool_size = pool_size
        self.weighted = weighted
        self.weight = weight

    def forward(self, student: StudentOutput, teacher: TeacherOutput) -> Tensor:
        """Scalar; see :func:`roi_feature_loss`."""
        weights = teacher.objectness if self.weighted else None
        boxes = given(teacher.boxes, 'teacher.boxes')
        losses = [
            roi_feature_loss(ours, theirs, boxes, weights, self.pool_size)
            for ours, theirs in self.pairs(student.maps, teacher.maps)
        ]
        return self.weight * torch.stack(losses).sum()


class ClassAwareLoss(nn.Module):
    """Class-aware distillation of predictions, ``L_p'`` (KD-WSD, Eq. 5-9).

    Temperatures are the exponentials of the parameters, hence always positive, and from 1e-6 to 1e6
    whatever they learn. Give those no weight
    decay (``custom_keys={'temperature': dict(decay_mult=0)}``), which would pull them towards 1.

    Args:
        num_classes: C.
        num_proposals: R, ``topk`` of ``mmmlc.LoadProposals``: each slot has a temperature.
        kind: ``'squared'`` (Eq. 5) or ``'cross_entropy'``, see
            :func:`prediction_loss`.
        teacher_temperature: Start of t^c and t^d.
        student_temperature: Start of t.
        learn_teacher: Whether t^c and t^d are learnt. With ``'cross_entropy'`` they can lower the
            loss by making the teacher's scores extreme.
        learn_student: Whether t is learnt.
        weight: Factor of the loss, lambda of Eq. 11.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'scores'})

    log_class_temperature: Tensor
    log_detection_temperature: Tensor
    log_student_temperature: Tensor

    def __init__(
        self,
        num_classes: int,
        num_proposals: int = 500,
        kind: str = 'squared',
        teacher_temperature: float = 1.0,
        student_temperature: float = 1.0,
        learn_teacher: bool = True,
        learn_student: bool = True,
        weight: float = 1.0,
    ):
        super().__init__()
        check_choice('ClassAwareLoss: kind', kind, KINDS)
        check_temperatures(teacher_temperature, student_temperature)
        self.kind = kind
        self.weight = weight
        for name, count, start, learn in (
            ('class', num_classes, teacher_temperature, learn_teacher),
            ('detection', num_proposals, teacher_temperature, learn_teacher),
            ('student', num_classes, student_temperature, learn_student),
        ):
            logarithms = nn.Parameter(torch.full((count,), math.log(start)), requires_grad=learn)
            self.register_parameter(f'log_{name}_temperature', logarithms)

    def temperatures(self) -> tuple[Tensor, Tensor, Tensor]:
        """t^c (C,), t^d (R,) and t (C,)."""
        limit = math.log(MOST)
        return (
            bounded(self.log_class_temperature, limit).exp(),
            bounded(self.log_detection_temperature, limit).exp(),
            bounded(self.log_student_temperature, limit).exp(),
        )

    def forward(self, student: StudentOutput, teacher: TeacherOutput) -> Tensor:
        """Scalar; ValueError where the numbers of proposals or classes differ."""
        t_class, t_detection, t_student = self.temperatures()
        logits = teacher.detections()
        proposals, classes = logits[0].shape[1:]
        if (proposals, classes) != (len(t_detection), len(t_class)):
            raise ValueError(
                f'the teacher scores {proposals} proposals and {classes} classes, ClassAwareLoss '
                f'has num_proposals={len(t_detection)} and num_classes={len(t_class)}'
            )
        scores = image_scores(region_scores(*logits, t_class, t_detection))
        ours = full(given(student.logits, 'student.logits')) / t_student
        return self.weight * prediction_loss(ours, scores, self.kind)


class PlainDistillationLoss(nn.Module):
    """Distillation with one fixed temperature for all classes (Hinton et al., 2015).

    As in KD-WSD's comparison: temperatures of teacher and student 1 and 5 on COCO, 2 and 5 on
    NUS-WIDE. The paper does not write the formula; ours is the cross-entropy with the softened
    scores of Eq. 6-8, without the square of a temperature as a factor (there are two).

    Args:
        teacher_temperature: Of both branches.
        student_temperature: Of the sigmoid.
        kind: See :class:`ClassAwareLoss`.
        weight: Factor of the loss.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'scores'})

    def __init__(
        self,
        teacher_temperature: float = 1.0,
        student_temperature: float = 5.0,
        kind: str = 'cross_entropy',
        weight: float = 1.0,
    ):
        super().__init__()
        check_choice('PlainDistillationLoss: kind', kind, KINDS)
        check_temperatures(teacher_temperature, student_temperature)
        self.teacher_temperature = teacher_temperature
        self.student_temperature = student_temperature
        self.kind = kind
        self.weight = weight

    def forward(self, student: StudentOutput, teacher: TeacherOutput) -> Tensor:
        """Scalar; see :func:`prediction_loss`."""
        *logits, valid = teacher.detections()
        classes, detections = (full(x) / self.teacher_temperature for x in logits)
        scores = image_scores(region_scores(classes, detections, valid))
        ours = full(given(student.logits, 'student.logits')) / self.student_temperature
        return self.weight * prediction_loss(ours, scores, self.kind)


def check_temperatures(teacher: float, student: float) -> None:
    """Raise ValueError unless both are numbers from 1e-6 to 1e6."""
    for name, value in (('teacher', teacher), ('student', student)):
        if not LEAST <= value <= MOST:
            raise ValueError(
                f'{name}_temperature is {value}, expected a number above 0, from {LEAST} to {MOST}'
            )


class FitNetsLoss(nn.Module):
    """Hints of FitNets (Romero et al., ICLR 2015) on whole maps.

    Args:
        student_channels: See :class:`LayerPairs`, as ``teacher_channels`` and the layers.
        weight: Factor of the loss.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'maps'})

    def __init__(
        self,
        student_channels: int | Sequence[int],
        teacher_channels: int | Sequence[int],
        student_layers: Sequence[int] = (0,),
        teacher_layers: Sequence[int] = (0,),
        weight: float = 1.0,
    ):
        super().__init__()
        self.pairs = LayerPairs(student_channels, teacher_channels, student_layers, teacher_layers)
        self.weight = weight

    def forward(self, student: StudentOutput, teacher: TeacherOutput) -> Tensor:
        """Scalar; see :func:`hint_loss`."""
        losses = [hint_loss(*pair) for pair in self.pairs(student.maps, teacher.maps)]
        return self.weight * torch.stack(losses).sum()


class AttentionTransferLoss(nn.Module):
    """Attention transfer (Zagoruyko and Komodakis, ICLR 2017) on whole maps.

    Args:
        student_layers: Indices into the outputs of the student's backbone.
        teacher_layers: Likewise, as many.
        weight: Factor of the loss.
    """

    uses: ClassVar[frozenset[str]] = frozenset({'maps'})

    def __init__(
        self,
        student_layers: Sequence[int] = (0, 1, 2),
        teacher_layers: Sequence[int] = (0, 1, 2),
        weight: float = 1.0,
    ):
        super().__init__()
        if len(student_layers) != len(teacher_layers) or not student_layers:
            raise ValueError(
                f'AttentionTransferLoss: student_layers={student_layers!r} and teacher_layers='
                f'{teacher_layers!r}, expected as many of each'
            )
        self.student_layers = tuple(student_layers)
        self.teacher_layers = tuple(teacher_layers)
        self.weight = weight

    def forward(self, student: StudentOutput, teacher: TeacherOutput) -> Tensor:
        """Scalar; see :func:`attention_loss`."""
        losses = [
            attention_loss(_output('student', student.maps, i), _output('teacher', teacher.maps, j))
            for i, j in zip(self.student_layers, self.teacher_layers, strict=True)
        ]
        return self.weight * torch.stack(losses).sum()
