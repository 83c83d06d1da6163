"""MsDPD: multi-scale and discriminative part detectors for multi-label image classification.

Cheng et al., IJCAI 2018. Part detectors on the maps of several scales, found by clustering and
entropy (:class:`mmmlc.hooks.PartMiningHook`), pooled by the task and fused.

B: images, C: classes, K: part detectors, D: channels, M: locations of a map, t: instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmmlc.ops.checks import check_choice
from mmmlc.ops.parts import part_loss, part_probabilities
from mmmlc.ops.task_driven import iterate_task_driven, task_driven_objective, task_driven_pool
from mmmlc.registry import MODELS

from .samples import set_predictions, stack_targets
from .thresholds import TunedThresholds

PART_POOLINGS = ('task_driven', 'average', 'max')


class Parts(NamedTuple):
    """Part maps of one scale and what is pooled from them."""

    maps: Tensor  # O (B, K, M)
    phi: Tensor  # (B, K) as pooled, of which J2 speaks
    feature: Tensor  # (B, K) phi brought to the length sqrt(K), for the classifier


class PartDetectors(BaseModule):
    """Part detectors of one scale and their pooling (Eq. 2 and 6).

    Args:
        in_channels: D.
        num_parts: K; 0 pools the raw map instead (the ablation "without part detectors").
        pooling: ``'task_driven'``, ``'average'`` or ``'max'`` (Table 4).
        ridge: r of the task-driven pooling, relative to M. See :func:`task_driven_pool`.
        solver: ``'closed'`` form or ``'iterative'``, the paper's gradient descent.
        solver_rate: Learning rate of the iteration.
        solver_steps: Its number of steps.
    """

    def __init__(
        self,
        in_channels: int,
        num_parts: int,
        pooling: str = 'task_driven',
        ridge: float = 0.01,
        solver: str = 'closed',
        solver_rate: float = 0.01,
        solver_steps: int = 100,
    ):
        super().__init__()
        check_choice('head.pooling', pooling, PART_POOLINGS)
        check_choice('head.solver', solver, ('closed', 'iterative'))
        if not ridge > 0:
            raise ValueError(f'head.ridge is {ridge}, expected a positive number')
        self.in_channels = in_channels
        self.num_parts = num_parts
        self.pooling = pooling
        self.ridge = ridge
        self.solver = solver
        self.solver_rate = solver_rate
        self.solver_steps = solver_steps
        if num_parts:
            self.weight = nn.Parameter(torch.empty(num_parts, in_channels))
            self.bias = nn.Parameter(torch.zeros(num_parts))
            nn.init.normal_(self.weight, std=0.01)
            self.register_buffer('used', torch.ones(num_parts, dtype=torch.bool))

    @property
    def out_channels(self) -> int:
        """Length of the pooled feature."""
        return self.num_parts or self.in_channels

    @torch.no_grad()
    def set_detectors(self, weight: Tensor, bias: Tensor) -> None:
        """Take mined detectors (K', D) and (K',); the K - K' left over are masked out.

        Raises:
            ValueError: for more detectors than ``num_parts``, or another number of channels.
        """
        found, channels = weight.shape
        if found > self.num_parts or channels != self.in_channels:
            raise ValueError(
                f'{found} mined detectors of {channels} channels, this scale has room for '
                f'{self.num_parts} of {self.in_channels}'
            )
        self.weight.zero_()[:found] = weight
        self.bias.zero_()[:found] = bias
        self.used.zero_()[:found] = True

    def maps(self, features: Tensor) -> Tensor:
        """Part maps O (B, K, M) of a feature map (B, D, h, w), or of no parts: unit vectors."""
        flat = features.flatten(2)
        if not self.num_parts:
            # Dot products of raw activations have no common scale; those of unit vectors have.
            return F.normalize(flat.float(), dim=1) if self.pooling == 'task_driven' else flat
        return part_probabilities(flat, self.weight, self.bias, self.used)

    def pool(self, maps: Tensor) -> Tensor:
        """Phi (B, K) of maps (B, K, M)."""
        if self.pooling == 'average':
            return maps.mean(2)
        if self.pooling == 'max':
            return maps.amax(2)
        if self.solver == 'closed':
            return task_driven_pool(maps, self.ridge)
        return iterate_task_driven(maps, self.ridge, self.solver_rate, self.solver_steps)

    def normalise(self, phi: Tensor) -> Tensor:
        """Phi with length sqrt(K): as long as the all-ones vector, whatever the ridge."""
        if not self.num_parts:
            return F.normalize(phi.float(), dim=1) * self.in_channels**0.5
        return F.normalize(phi.float(), dim=1) * self.used.sum().sqrt()

    def forward(self, features: Tensor) -> Parts:
        """Parts of a feature map (B, D, h, w)."""
        if features.ndim != 4 or features.shape[1] != self.in_channels:
            raise ValueError(
                f'features have the shape {tuple(features.shape)}, expected a map '
                f'(B, {self.in_channels}, h, w) (model.head.in_channels)'
            )
        maps = self.maps(features)
        phi = self.pool(maps)
        return Parts(maps, phi, self.normalise(phi))


@MODELS.register_module()
class MsDPDHead(TunedThresholds, BaseModule):
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
        solver: ``'closed'`` or ``'iterative'``, see :class:`PartDetectors`. The iteration carries
            no gradient to the detectors.
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
        solver: str = 'closed',
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
        super().__init__(init_cfg or dict(type='mmengine.Normal', layer='Linear', std=0.01))
        count = len(in_channels)
        ridges = [ridge] * count if isinstance(ridge, (int, float)) else [*ridge]
        self.indices = [*range(count)] if indices is None else [*indices]
        given = dict(num_parts=num_parts, ridge=ridges, indices=self.indices)
        for name, values in given.items():
            if len(values) != count:
                raise ValueError(
                    f'head.{name} has {len(values)} values, head.in_channels has {count} scales'
                )
        if training == 'end_to_end' and solver == 'iterative':
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
        if self.has_plain:
            widths.append(plain_channels)
        self.scale_names = tuple(f'scale{number + 1}' for number in range(len(widths)))
        check_choice('head.prediction', prediction, ('fused', *self.scale_names))
        self.classifiers = nn.ModuleList(nn.Linear(width, num_classes) for width in widths)
        self.fusion = nn.Linear(sum(widths), num_classes)
        self.num_classes = num_classes
        self.training_mode = training
        self.phi_steps = phi_steps
        self.phi_rate = phi_rate
        self.j2_weight = j2_weight
        self.j3_weight = j3_weight
        self.instances = instances
        self.prediction = prediction
        self.threshold = threshold
        self.loss_module = MODELS.build(loss or dict(type='mmmlc.MultiLabelBCELoss'))

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
        for name in self.scale_names:
            for sample, score in zip(samples, scores[name], strict=True):
                sample.set_field(score, f'{name}_score')
        return samples
