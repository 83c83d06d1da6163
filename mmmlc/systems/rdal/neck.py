"""The recurrent memorised-attention module (Section 3).

B: images, K: regions per image, C: classes, F: channels, D: width of the hidden state,
E: width of a region's feature, (h, w): map size.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmmlc.ops.checks import check_choice
from mmmlc.registry import MODELS

from .attention import memory_step, parameter_matrices, sample_regions, whole_image
from .few_rows import few_rows_linear

LOCALISATIONS = ('identity', 'xavier', 'given')


class AttentionRegions(NamedTuple):
    """What the module finds, for the regions k = 1 ... K in the order they were visited."""

    scores: Tensor  # (B, K, C) logits s_k
    hidden: Tensor  # (B, K, D) states h_k
    sampled: Tensor  # (B, K, E) features x_k
    matrices: Tensor  # (B, K, 2, 3) M_k, float32


class FewRowsLinear(nn.Linear):
    """``nn.Linear``, faster on a CPU where the batch is small, see :func:`few_rows_linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, D) of (B, E)."""
        return few_rows_linear(x, self.weight, self.bias)


class RecurrentCell(BaseModule):
    """The memory of Eq. 4.

    Args:
        in_features: E.
        width: D.
    """

    def __init__(self, in_features: int, width: int):
        super().__init__()
        self.width = width
        # Rows in the order of the gates i, g, o, m.
        self.from_input = FewRowsLinear(in_features, 4 * width)
        self.from_hidden = FewRowsLinear(width, 4 * width, bias=False)

    def init_weights(self) -> None:
        """Xavier for each gate by itself: their stack has another fan-out."""
        super().init_weights()
        for layer in (self.from_input, self.from_hidden):
            for gate in layer.weight.chunk(4):
                nn.init.xavier_uniform_(gate)
        nn.init.zeros_(self.from_input.bias)

    def forward(
        self, x: Tensor, hidden: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            x: (B, E).
            hidden: h of the step before, (B, D); None at the first, where it is 0.
            memory: c of the step before, likewise.

        Returns:
            Hidden state (B, D) of the type of ``x``, and memory (B, D), at least float32.
        """
        gates = self.from_input(x)
        if hidden is None or memory is None:
            memory = gates.new_zeros(len(x), self.width)
        else:
            gates = gates + self.from_hidden(hidden)
        hidden, memory = memory_step(gates, memory)
        return hidden.to(gates.dtype), memory


class Localisation(BaseModule):
    """The localisation network, M of Eq. 5; in float32 also under AMP.

    Args:
        width: Of its input.
        init: ``'identity'`` or ``'xavier'``, see :class:`RecurrentAttention`.
    """

    def __init__(self, width: int, init: str):
        super().__init__()
        self.init = init
        self.layer = nn.Linear(width, 4)

    def init_weights(self) -> None:
        """Start at the whole image, or anywhere."""
        super().init_weights()
        with torch.no_grad():
            if self.init == 'xavier':
                nn.init.xavier_uniform_(self.layer.weight)
                self.layer.bias.zero_()
            else:
                self.layer.weight.zero_()
                self.layer.bias.copy_(torch.tensor([1.0, 1.0, 0.0, 0.0]))

    def forward(self, z: Tensor) -> Tensor:
        """Matrices (B, 2, 3) from (B, D)."""
        # Bfloat16 has 8 bits: too few to say where in a map of 28 pixels a region starts.
        with torch.autocast(z.device.type, enabled=False):
            return parameter_matrices(self.layer(z.to(self.layer.weight.dtype)))


@MODELS.register_module()
class RecurrentAttention(BaseModule):
    """Find K regions one after the other and score the classes in each (Eq. 1-6).

    A neck for any backbone whose last output is a feature map, of any stride and size. Its head is
    :class:`RecurrentAttentionHead`. New layers start with Xavier's initialisation.

    The paper gives neither sampled size nor widths; the defaults are those of a third-party port.

    Args:
        in_channels: F, channels of the backbone's last map.
        num_classes: C.
        num_regions: K; the module runs K + 1 times, first on the whole image.
        sampled_size: Side of a sampled region.
        pool: The sampled region is max-pooled in windows of this side; 1 for no pooling.
        feature_width: E, width of x_k.
        hidden_width: D, width of h_k, c_k and z_k.
        localisation: How the localisation network starts: ``'identity'``, zero weights and the
            whole image as bias, as in the port; or ``'xavier'``, as the paper has it for all new
            layers. ``'given'``: there is none, the matrices are given to :meth:`forward`.
        init_cfg: Initialisation.

    Raises:
        ValueError: for an option out of range, and for features of another shape.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_regions: int = 5,
        sampled_size: int = 14,
        pool: int = 2,
        feature_width: int = 4096,
        hidden_width: int = 4096,
        localisation: str = 'identity',
        init_cfg: dict | None = None,
    ):
        super().__init__(
            init_cfg
            or dict(type='mmengine.Xavier', layer='Linear', distribution='uniform', bias=0.0)
        )
        sizes = dict(num_regions=num_regions, sampled_size=sampled_size, pool=pool)
        sizes |= dict(feature_width=feature_width, hidden_width=hidden_width)
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'neck.{name} is {value!r}, expected an integer of at least 1')
        if sampled_size % pool:
            raise ValueError(f'neck.sampled_size is {sampled_size}, expected a multiple of {pool=}')
        check_choice('neck.localisation', localisation, LOCALISATIONS)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.num_regions = num_regions
        self.sampled_size = sampled_size
        self.pool = pool
        pooled = in_channels * (sampled_size // pool) ** 2
        self.feature = FewRowsLinear(pooled, feature_width)
        self.cell = RecurrentCell(feature_width, hidden_width)
        self.hidden = FewRowsLinear(hidden_width, hidden_width)
        self.classifier = nn.Linear(hidden_width, num_classes)
        learnt = localisation != 'given'
        self.localisation = Localisation(hidden_width, localisation) if learnt else None

    def forward(
        self, features: tuple[Tensor, ...] | Tensor, matrices: Tensor | None = None
    ) -> AttentionRegions:
        """Visit the regions.

        Args:
            features: Of the backbone; the last one, (B, F, h, w), is used.
            matrices: (B, K, 2, 3) of given regions, with ``localisation='given'`` and only then.
        """
        maps = self._feature_map(features)
        self._check_given(matrices)
        matrix, hidden, memory = whole_image(maps), None, None
        localise = cast(Localisation, self.localisation)  # None only beside given matrices
        steps = []
        for k in range(self.num_regions + 1):
            x = self._region_features(maps, matrix)
            hidden, memory = self.cell(x, hidden, memory)
            z = F.relu(self.hidden(hidden))
            steps.append((z, hidden, x, matrix))
            if k < self.num_regions:
                matrix = localise(z) if matrices is None else matrices[:, k]
        z, hidden, x, visited = (torch.stack(step, dim=1) for step in zip(*steps[1:], strict=True))
        return AttentionRegions(self.classifier(z), hidden, x, visited)

    def _region_features(self, maps: Tensor, matrix: Tensor) -> Tensor:
        """x_k (B, E) of one region per image (Eq. 2 and 4)."""
        size = (self.sampled_size, self.sampled_size)
        sampled = sample_regions(maps, matrix, size)
        if self.pool > 1:
            sampled = F.max_pool2d(sampled, self.pool)
        return F.relu(self.feature(sampled.flatten(1)))

    def _feature_map(self, features: tuple[Tensor, ...] | Tensor) -> Tensor:
        last = features[-1] if isinstance(features, (tuple, list)) else features
        if last.ndim != 4 or last.shape[1] != self.in_channels:
            raise ValueError(
                f'the backbone returns features of shape {tuple(last.shape)}, the neck expects a '
                f'map (B, {self.in_channels}, h, w): set model.neck.in_channels; a transformer '
                "needs model.backbone.out_type='featmap', VGG with_last_pool=False and no "
                'num_classes'
            )
        return last

    def _check_given(self, matrices: Tensor | None) -> None:
        if (matrices is None) != (self.localisation is not None):
            raise ValueError(
                "model.neck.localisation='given' needs matrices of regions, and only it takes "
                'them: a model of type mmmlc.ProposalClassifier gives those of proposals'
            )
        if matrices is not None and matrices.shape[1] != self.num_regions:
            raise ValueError(
                f'{matrices.shape[1]} regions given, model.neck.num_regions is {self.num_regions}'
            )
