"""Knowledge distillation: a plain classifier learns from a weakly supervised detector.

Yongcheng Liu et al., Multi-Label Image Classification via Knowledge Distillation from
Weakly-Supervised Detection, ACM MM 2018 (KD-WSD), Section 3.2.

B: images, C: classes, (H, W): input size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel, BaseModule, ModuleDict
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmmlc.ops.checks import check_choice
from mmmlc.registry import MODELS

from .distillation import resize_images
from .frozen_teacher import AMP_TYPES, FrozenTeacher
from .losses import (
    AttentionTransferLoss,
    ClassAwareLoss,
    FitNetsLoss,
    PlainDistillationLoss,
    RoIFeatureLoss,
    StudentOutput,
)
from .teacher_cache import TeacherCache, weights_checksum

# Plain PyTorch until here.
for _loss in (
    AttentionTransferLoss,
    ClassAwareLoss,
    FitNetsLoss,
    PlainDistillationLoss,
    RoIFeatureLoss,
):
    MODELS.register_module(module=_loss)

UPDATES = ('all', 'backbone')
IMAGE_OPTIONS = ('mean', 'std', 'to_rgb')


@MODELS.register_module()
class Distiller(BaseModel):
    """Trains a student with losses against a teacher; in a test it is the plain student.

    The teacher comes from :class:`TeacherHook` and is no part of the parameters, the
    state, or the optimiser. Pipelines give proposals (``mmmlc.LoadProposals``) and one size for
    all images, from which both networks' inputs are resized.

    Args:
        student: Config of a ``mmpretrain.ImageClassifier``. Its data preprocessor serves both.
        losses: Configs of losses by name, see ``mmmlc/models/distillation_losses.py``.
        update: What of the student is trained: ``'all'`` (stage 2), or ``'backbone'`` (stage 1, the
            paper's "convolutional parameters": convolutions with their biases, and in ResNets their
            batch norms with the running statistics). Parameters of the losses always are.
        label_weight: Factor of the head's own loss on the labels, ``L_p``; 0 leaves it out.
        student_size: Side of the student's input in training; None takes the pipeline's.
        teacher_size: Side of the teacher's input; None takes the pipeline's.
        nms_iou: Of the suppression of proposals by objectness; 1 suppresses none.
        top: Proposals kept, repeated where fewer are left.
        teacher_amp: ``'float16'`` or ``'bfloat16'``: precision of the teacher alone; None for that
            of the training.
        init_cfg: Initialisation.

    Raises:
        ValueError: for options that don't fit together.
    """

    student: ImageClassifier

    def __init__(
        self,
        student: dict,
        losses: dict[str, dict],
        update: str = 'all',
        label_weight: float = 1.0,
        student_size: int | None = None,
        teacher_size: int | None = None,
        nms_iou: float = 0.4,
        top: int = 100,
        teacher_amp: str | None = None,
        init_cfg: dict | None = None,
    ):
        built = MODELS.build(student)
        super().__init__(built.data_preprocessor, init_cfg)
        check_choice('model.update', update, UPDATES)
        if teacher_amp is not None:
            check_choice('model.teacher_amp', teacher_amp, tuple(AMP_TYPES))
        if not 0 < nms_iou <= 1:
            raise ValueError(f'model.nms_iou is {nms_iou}, expected a number in (0, 1]')
        if top < 1:
            raise ValueError(f'model.top is {top}, expected at least 1')
        self.student = built
        self.losses = ModuleDict({name: MODELS.build(loss) for name, loss in losses.items()})
        self.label_weight = label_weight
        self.student_size = student_size
        self._uses = frozenset().union(*(loss.uses for loss in self.losses.values()))
        self._options: dict[str, Any] = dict(
            size=teacher_size, iou=nms_iou, top=top, amp=teacher_amp
        )
        self._teacher: FrozenTeacher | None = None
        self._check_student(update)
        if update == 'backbone':
            for name, parameter in built.named_parameters():
                if not name.startswith('backbone.'):
                    parameter.requires_grad_(False)

    def _check_student(self, update: str) -> None:
        if not self.losses:
            raise ValueError('model.losses is empty, expected at least one loss')
        if getattr(self.data_preprocessor, 'batch_augments', None) is not None:
            raise ValueError('model.student.train_cfg mixes images, but not their proposals')
        head = self.student.head
        if self.label_weight and not hasattr(head, 'loss_from_logits'):
            raise ValueError(
                f'model.student.head is {type(head).__name__} without loss_from_logits(), expected '
                'mmmlc.MultiLabelConvHead, mmmlc.VGGHead, or label_weight=0'
            )
        if update == 'all' and not self.label_weight and 'scores' not in self._uses:
            raise ValueError(
                "model.update='all' with label_weight=0 and losses on maps alone would leave the "
                "head without gradient: take update='backbone'"
            )

    @property
    def backbone(self) -> BaseModule:
        """Of the student, as ``neck`` and ``head``: where hooks look for a classifier's parts."""
        return self.student.backbone

    @property
    def neck(self) -> BaseModule | None:
        """Of the student."""
        return self.student.neck

    @property
    def head(self) -> BaseModule:
        """Of the student."""
        return self.student.head

    def set_teacher(self, teacher: ImageClassifier) -> None:
        """Take a teacher; it is frozen and moved to the student's device and memory format.

        Raises:
            TypeError: if it cannot answer what the losses ask for.
            ValueError: if it expects other classes or otherwise normalised images.
        """
        ours, theirs = (model.head.num_classes for model in (self.student, teacher))
        if ours != theirs:
            raise ValueError(f'the student has {ours} classes, the teacher {theirs}')
        _check_images(self.data_preprocessor, teacher.data_preprocessor)
        self._teacher = FrozenTeacher(teacher, self._uses, **self._options)
        weights = [p for p in self.student.parameters() if p.ndim == 4]
        teacher.to(weights[0].device if weights else next(self.parameters()).device)
        layout = torch.channels_last
        if any(p.is_contiguous(memory_format=layout) and not p.is_contiguous() for p in weights):
            teacher.to(memory_format=layout)

    @torch.no_grad()
    def check_teacher(self, data: dict) -> None:
        """Run all losses on a batch of the training data: ValueError where shapes don't fit."""
        training = self.training
        self.eval()
        data = self.data_preprocessor(data, False)
        self.loss(data['inputs'], data['data_samples'])
        self.train(training)

    def cache_teacher(
        self, path: str, names: Sequence[str], data: dict, maps: bool = False, kind: str = 'float16'
    ) -> None:
        """Keep the teacher's answers on disk, see :class:`TeacherCache`.

        Args:
            path: Of the file.
            names: Paths of the training images.
            data: A batch of them, for the shapes.
            maps: Whether maps are kept, too. They are large.
            kind: ``'float16'`` or ``'float32'``.

        Raises:
            RuntimeError: without a teacher.
            ValueError: if no loss asks the teacher for what is kept.
        """
        if not self._uses & {'regions', 'scores'}:
            raise ValueError('TeacherHook.cache: no loss uses scores or regions of the teacher')
        data = self.data_preprocessor(data, False)
        teacher, inputs = self._known_teacher(), data['inputs']
        example = teacher.answer(inputs, data['data_samples'])
        size = [teacher.size] * 2 if teacher.size else list(inputs.shape[-2:])
        identity = dict(
            weights=weights_checksum(teacher.model), input=size, iou=teacher.iou, top=teacher.top
        )
        example = example if maps else example._replace(maps=None)
        teacher.cache = TeacherCache(path, names, example, identity, kind)

    def _known_teacher(self) -> FrozenTeacher:
        if self._teacher is None:
            raise RuntimeError(
                'the Distiller has no teacher: custom_hooks needs mmmlc.TeacherHook, or call '
                'set_teacher()'
            )
        return self._teacher

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """``loss_label`` and ``loss_<name>`` of each of the losses.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With labels and proposals.

        Raises:
            RuntimeError: without a teacher.
        """
        teacher = self._known_teacher()(inputs, data_samples)
        maps = self.student.extract_feat(resize_images(inputs, self.student_size), 'backbone')
        logits = None
        if self.label_weight or 'scores' in self._uses:
            logits = self.head(maps if self.neck is None else self.neck(maps))
        losses = {}
        if self.label_weight:
            labels = self.head.loss_from_logits(logits, data_samples)
            losses['loss_label'] = self.label_weight * labels
        output = StudentOutput(maps, logits)
        for name, loss in self.losses.items():
            losses[f'loss_{name}'] = loss(output, teacher)
        return losses

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[DataSample]:
        """``mode='loss'`` distils; ``'tensor'`` and ``'predict'`` are the plain student's."""
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        return self.student(inputs, data_samples, mode)

    def _apply(self, fn: Callable, *args: Any, **kwargs: Any) -> Distiller:
        """Moves and converts the teacher along with the student."""
        if self._teacher is not None:
            self._teacher.model._apply(fn)
        return super()._apply(fn, *args, **kwargs)


def _check_images(ours: nn.Module, theirs: nn.Module) -> None:
    """ValueError where the two data preprocessors make different images."""
    for name in IMAGE_OPTIONS:
        mine, other = (getattr(model, name, None) for model in (ours, theirs))
        mine, other = (x.flatten().tolist() if isinstance(x, Tensor) else x for x in (mine, other))
        if mine != other:
            raise ValueError(
                f'the data preprocessor has {name}={mine} in the student and {other} in the '
                'teacher, expected the same'
            )
