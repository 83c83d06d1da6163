"""Losses and tensor functions with extreme values in all precisions.

For finite inputs values are finite. Gradients are, too, but where the gradient itself, as float64
gives it, is beyond the type of the input: float16 ends at 65,504, and loss scaling has to see it.
"""

from __future__ import annotations

import torch
from helpers.cases import generated
from hypothesis import strategies as st

from mmmlc.ops.losses import AsymmetricLoss, MultiLabelBCELoss
from mmmlc.ops.pooling import global_pool
from mmmlc.systems.kd_wsd import distillation, weak_detection
from mmmlc.systems.msdpd import parts, task_driven
from mmmlc.systems.rdal import attention

B, C, R, D = 3, 4, 5, 3
TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TARGETS = torch.tensor([[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0.0]])
VALID = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
LEFT = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
BOXES = torch.tensor([[[0, 0, 1, 1], [0.2, 0.2, 0.8, 0.9]]] * B)
PROPOSALS = torch.tensor(
    [[[0, 0, 1, 1], [0, 0, 1, 0.9], [0.5, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1]]] * B
)

EXTREMES = (0.0, 1.0, -1.0, 1e-38, 1e-20, 1e-6, 0.5, 1e4, -1e4, 1e20, -1e20, 1e30, -1e30)


def _parts(x, sharpness):
    kind = torch.promote_types(x.dtype, torch.float32)
    weight = sharpness * torch.eye(4, R, dtype=kind)
    return parts.part_probabilities(x, weight, torch.zeros(4, dtype=kind))


def _logit_losses():
    made = {
        'cross-entropy': MultiLabelBCELoss(),
        'weighted cross-entropy': MultiLabelBCELoss(pos_weight=[1e-6, 1e6, 1, 3]),
        'euclidean softmax': lambda *x: attention.euclidean_softmax(*x).mean(),
    }
    for gammas in ((0, 4, 0.05), (0, 0, 0), (0.5, 0.5, 0.05), (50, 50, 0.9), (1, 4, 0)):
        for reduction in ('mean', 'sum'):
            made[f'asymmetric {gammas} {reduction}'] = AsymmetricLoss(*gammas, reduction=reduction)
    for name, loss in made.items():
        for mask in (None, VALID):
            yield (
                f'{name}{" masked" * (mask is not None)}',
                (lambda x, loss=loss, mask=mask: loss(x, TARGETS.to(x.dtype), mask)),
            )


# By the shape of their input: names and functions.
FUNCTIONS = {
    (B, C): dict(_logit_losses())
    | {
        f'prediction {kind}': lambda x, kind=kind: distillation.prediction_loss(x, TARGETS, kind)
        for kind in ('squared', 'cross_entropy')
    },
    (B, R, C): {
        'region scores': lambda x: weak_detection.region_scores(x, -x, LEFT),
        'temperatures': lambda x: weak_detection.region_scores(
            x, x, None, torch.tensor([1e-6, 1, 1e6, 3]), torch.tensor([1e-6, 1, 1e6, 3, 1])
        ),
        'image loss': lambda x: weak_detection.image_loss(
            weak_detection.image_scores(weak_detection.region_scores(x, x)), TARGETS, VALID
        ),
        'spatial': lambda x: weak_detection.spatial_regulariser(
            torch.full((B, R, C), 0.2), x, PROPOSALS, TARGETS
        ),
    },
    (B, 2, 2, 3): {
        name: getattr(attention, name)
        for name in ('anchor_constraint', 'scale_constraint', 'positive_constraint', 'matrix_boxes')
    }
    | {
        'sampled': lambda x: attention.sample_regions(torch.ones(B, 2, 5, 5).to(x), x[:, 0], (3, 3))
    },
    (B, 8): {'memory': lambda x: attention.memory_step(x, x[:, :2])[0]},
    (B, D, 4, 4): {
        'attention map': distillation.attention_map,
        'attention': lambda x: distillation.attention_loss(x, torch.ones(B, 2, 8, 8).to(x)),
        'hint': lambda x: distillation.hint_loss(x, torch.ones(B, D, 8, 8).to(x)),
        'hint teacher': lambda x: distillation.hint_loss(torch.ones(B, D, 2, 2).to(x), x),
        'roi': lambda x: distillation.roi_feature_loss(
            x, -x, BOXES, torch.tensor([[1e-20, 1]] * B)
        ),
    }
    | {f'pooled {kind}': lambda x, k=kind: global_pool(x, k) for kind in ('gap', 'gmp', 'gwp')},
    (B, R, 9): {
        'part probabilities': lambda x: _parts(x, 1e4),
        'part loss': lambda x: parts.part_loss(_parts(x, 1.0), 3),
        'objective': lambda x: task_driven.task_driven_objective(
            x.abs().clamp(0, 1), x.abs().clamp(0, 1).mean(2), 1e-3
        ),
    }
    | {
        f'pooled {ridge} {solver} {wide}': lambda x, r=ridge, s=solver, w=wide: (
            task_driven.task_driven_pool(x.abs().clamp(0, 1) if w else x.abs().clamp(0, 1).mT, r, s)
        )
        for ridge in (1e-12, 1e-6, 1e-2, 1.0, 1e6)
        for solver in ('cholesky', 'conjugate_gradients')
        for wide in (True, False)
    },
}
CHOICES = [(shape, name) for shape, functions in FUNCTIONS.items() for name in functions]


@st.composite
def _inputs(draw):
    shape, name = draw(st.sampled_from(CHOICES))
    dtype = draw(st.sampled_from(TYPES))
    size = int(torch.tensor(shape).prod())
    values = st.sampled_from(EXTREMES) | st.floats(-10, 10, width=16)
    few = draw(st.lists(values, min_size=1, max_size=6))
    rows = draw(st.lists(st.integers(0, len(few) - 1), min_size=size, max_size=size))
    ends = torch.finfo(dtype)
    tensor = torch.tensor(few, dtype=torch.float64)[rows].clamp(ends.min, ends.max)
    return name, tensor.to(dtype).reshape(shape)


def _gradient(function, x):
    leaf = x.clone().requires_grad_()
    value = function(leaf)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


@generated(_inputs(), share=24)
def losses(case, folder):
    name, x = case
    function = FUNCTIONS[tuple(x.shape)][name]
    try:
        value, gradient = _gradient(function, x)
    except ValueError as error:
        assert x.dtype == torch.float16 and 'ridge is' in str(error) and 'float16' in str(error)
        return
    assert value.isfinite().all(), f'{name} of {x.dtype}: value {value}'
    if not gradient.isfinite().all():
        assert not gradient.isnan().any(), f'{name} of {x.dtype}: gradient NaN'
        exact = _gradient(function, x.double())[1]
        largest = torch.finfo(x.dtype).max / 2
        assert exact.abs().max() > largest, f'{name} of {x.dtype}: gradient infinite'
