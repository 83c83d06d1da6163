"""MsDPD: multi-scale and discriminative part detectors for multi-label image classification.

Cheng et al., IJCAI 2018. Part detectors on the maps of several scales, found by clustering and
entropy (:class:`PartMiningHook`), pooled by the task and fused.

B: images, C: classes, K: part detectors, D: channels, M: locations of a map, t: instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmmlc.models.base import MultiLabelHead
from mmmlc.models.predictions import set_all, set_predictions, stack_targets
from mmmlc.ops.checks import check_choice
from mmmlc.registry import MODELS

from .part_detectors import PartDetectors, Parts, solver_options
from .parts import part_loss
from .task_driven import task_driven_objective


@MODELS.register_module()
class MsDPDHead(MultiLabelHead):
    """Part detectors and a classifier per scale, a plain scale, and their fusion.

    For ``mmpretrain.ImageClassifier`` over a backbone or neck that returns several maps.

    Args:
        num_classes: C.
        in_channels: Channels of the scales with part detectors.
        num_parts: Detectors K of each of them; zeros for the ablation without part detectors.
        indices: Which of the given maps they read; by default the first ones.
        plain_channels: Channels of the plain scale (scale 5 of the paper); None leaves it out.
        plain_index: Which map it reads; the last by default.
        pooling: ``'task_driven'``, ``'average'`` or ``'max'``.
        ridge: r of the pooling relative to M; one for all scales or one for each.
        solver: A name or a dict, see :class:`PartDetectors`. The paper's iteration carries no
            gradient to the detectors.
        training: ``'end_to_end'``, through the closed form; or ``'alternating'``, the paper's:
            phi is updated from J1 + J2 with the detectors fixed, then the detectors from J2 and J3
            and the classifiers from J1 with phi fixed. The backbone learns from the plain scale
            and, end to end, from all. Phi starts from J2 in every iteration, so that no state per
            image is kept (our choice).
        phi_steps: Updates of phi in an alternating iteration.
        phi_rate: Their learning rate, 0.01 in the paper.
        j2_weight: l1 of Eq. 4.
        j3_weight: l2 of Eq. 4.
        instances: t of Eq. 7, mined in each batch; the paper gives no number.
        prediction: ``'fused'``, or one scale alone (Table 1), ``'scale1'`` to the plain one.
        loss: Config of the loss of J1; J1 is C times it, as the paper sums over classes.
        threshold: Score from which a class is in ``pred_label``.
        init_cfg: Initialisation of the classifiers.
    """

    detectors: Any  # an nn.ModuleList does not say that it holds PartDetectors
    classifiers: Any  # and here nn.Linear

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        num_parts: Sequence[int],
        indices: Sequence[int] | None = None,
        plain_channels: int | None = None,
        plain_index: int = -1,
        pooling: str = 'task_driven',
        ridge: float | Sequence[float] = 0.01,
        solver: str | dict = 'closed',
        training: str = 'end_to_end',
        phi_steps: int = 1,
        phi_rate: float = 0.01,
        j2_weight: float = 1.0,
        j3_weight: float = 0.01,
        instances: int = 32,
        prediction: str = 'fused',
        loss: dict | None = None,
        threshold: float = 0.5,
        init_cfg: dict | None = None,
    ):
        loss = loss or dict(type='mmmlc.MultiLabelBCELoss')
        init_cfg = init_cfg or dict(type='mmengine.Normal', layer='Linear', std=0.01)
        super().__init__(num_classes, threshold, loss, init_cfg)
        count = len(in_channels)
        ridges = [ridge] * count if isinstance(ridge, (int, float)) else [*ridge]
        self.indices = [*range(count)] if indices is None else [*indices]
        given = dict(num_parts=num_parts, ridge=ridges, indices=self.indices)
        for name, values in given.items():
            if len(values) != count:
                raise ValueError(
                    f'head.{name} has {len(values)} values, head.in_channels has {count} scales'
                )
        if training == 'end_to_end' and solver_options(solver)[0] == 'iterative':
            raise ValueError(
                "head.training='end_to_end' needs head.solver='closed': the iteration carries no "
                'gradient to the detectors'
            )
        check_choice('head.training', training, ('end_to_end', 'alternating'))
        self.detectors = nn.ModuleList(
            PartDetectors(channels, parts, pooling, strength, solver)
            for channels, parts, strength in zip(in_channels, num_parts, ridges, strict=True)
        )
        widths = [scale.out_channels for scale in self.detectors]
        self.plain_index = plain_index
        self.has_plain = plain_channels is not None
        if plain_channels is not None:
            widths.append(plain_channels)
        self.scale_names = tuple(f'scale{number + 1}' for number in range(len(widths)))
        check_choice('head.prediction', prediction, ('fused', *self.scale_names))
        self.classifiers = nn.ModuleList(nn.Linear(width, num_classes) for width in widths)
        self.fusion = nn.Linear(sum(widths), num_classes)
        self.training_mode = training
        self.phi_steps = phi_steps
        self.phi_rate = phi_rate
        self.j2_weight = j2_weight
        self.j3_weight = j3_weight
        self.instances = instances
        self.prediction = prediction

    def parts(self, features: tuple[Tensor, ...]) -> list[Parts]:
        """Part maps and pooled features of each scale with detectors."""
        most = max(self.indices)
        if len(features) <= most:
            raise ValueError(
                f'the backbone returns {len(features)} maps, model.head.indices asks for number '
                f'{most}: set model.backbone.out_indices, or a neck'
            )
        pairs = zip(self.detectors, self.indices, strict=True)
        return [scale(features[index]) for scale, index in pairs]

    def scale_features(self, features: tuple[Tensor, ...], parts: list[Parts]) -> list[Tensor]:
        """The feature vector of every scale, the plain one last."""
        found = [scale.feature for scale in parts]
        if self.has_plain:
            found.append(features[self.plain_index].mean((-2, -1)))
        return found

    def logits(self, found: list[Tensor]) -> dict[str, Tensor]:
        """Logits (B, C) by name: of each scale, and ``'fused'``."""
        named = zip(self.scale_names, self.classifiers, found, strict=True)
        logits = {name: classifier(feature) for name, classifier, feature in named}
        logits['fused'] = self.fusion(torch.cat(found, 1))
        return logits

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C) of the chosen prediction."""
        found = self.scale_features(features, self.parts(features))
        return self.logits(found)[self.prediction]

    def pre_logits(self, features: tuple[Tensor, ...]) -> Tensor:
        """The concatenated features of all scales (B, sum of the widths)."""
        return torch.cat(self.scale_features(features, self.parts(features)), 1)

    def describe(
        self, features: tuple[Tensor, ...], samples: list[DataSample]
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Features of every scale, targets (B, C), and which pairs count (B, C), for J1."""
        targets, valid = stack_targets(samples, self.num_classes)
        found = self.scale_features(features, self.parts(features))
        return found, targets, torch.ones_like(targets).bool() if valid is None else valid

    def loss(self, features: tuple[Tensor, ...], samples: list[DataSample]) -> dict[str, Tensor]:
        """J = J1 + l1 J2 + l2 J3 of every scale (Eq. 4), and J1 of the plain scale and fusion."""
        targets, valid = stack_targets(samples, self.num_classes)
        if self.training_mode == 'alternating':
            # Eq. 14 updates the detectors, not the backbone under them.
            parts = self.parts(tuple(feature.detach() for feature in features))
            parts = [self._update_phi(*pair, targets, valid) for pair in enumerate(parts)]
        else:
            parts = self.parts(features)
        logits = self.logits(self.scale_features(features, parts))
        losses = {
            f'loss_{name}': self.image_loss(value, targets, valid) for name, value in logits.items()
        }
        for name, scale, found in zip(self.scale_names, self.detectors, parts, strict=False):
            if not scale.num_parts:
                continue
            if scale.pooling == 'task_driven':
                j2 = task_driven_objective(found.maps, found.phi).mean()
                losses[f'loss_{name}_j2'] = self.j2_weight * j2
            j3 = part_loss(found.maps, self.instances, scale.used)
            losses[f'loss_{name}_j3'] = self.j3_weight * j3
        return losses

    def image_loss(self, logits: Tensor, targets: Tensor, valid: Tensor | None) -> Tensor:
        """J1 (Eq. 5): mean over images, sum over classes."""
        return self.num_classes * self.loss_module(logits, targets, valid)

    def _update_phi(
        self, number: int, parts: Parts, targets: Tensor, valid: Tensor | None
    ) -> Parts:
        """Update phi by the gradient of J1 + l1 J2, everything else fixed (Eq. 16-17)."""
        scale, classifier = self.detectors[number], self.classifiers[number]
        maps, phi = parts.maps.detach(), parts.phi.detach()
        for _ in range(self.phi_steps):
            phi.requires_grad_()
            with torch.enable_grad():
                logits = classifier(scale.normalise(phi))
                # J1 and J2 are means over images; the step of an image must not depend on them.
                objective = self.image_loss(logits, targets, valid) * len(phi)
                if scale.num_parts and scale.pooling == 'task_driven':
                    j2 = task_driven_objective(maps, phi, scale.ridge)
                    objective = objective + self.j2_weight * j2.sum()
                (gradient,) = torch.autograd.grad(objective, phi)
            phi = (phi - self.phi_rate * gradient).detach()
        return Parts(parts.maps, phi, scale.normalise(phi))

    def predict(
        self, features: tuple[Tensor, ...], samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Samples with ``pred_score``, ``pred_label`` and a ``scale1_score`` ... (C,) per scale."""
        found = self.scale_features(features, self.parts(features))
        scores = {name: x.float().sigmoid() for name, x in self.logits(found).items()}
        samples = set_predictions(samples, scores[self.prediction], self.label_threshold)
        set_all(samples, **{f'{name}_score': scores[name] for name in self.scale_names})
        return samples
