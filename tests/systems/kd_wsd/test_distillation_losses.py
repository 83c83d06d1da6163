"""Distillation losses against naive NumPy, finite differences and each other."""

from __future__ import annotations

import distillation_references as reference
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmmlc.systems.kd_wsd.distillation import resize_images, roi_feature_loss
from mmmlc.systems.kd_wsd.losses import (
    AttentionTransferLoss,
    ClassAwareLoss,
    FitNetsLoss,
    PlainDistillationLoss,
    RoIFeatureLoss,
    StudentOutput,
    TeacherOutput,
)

CLOSE = dict(atol=1e-5, rtol=1e-5)
B, R, T, C = 2, 6, 5, 4


def outputs(
    student_channels=(3, 4), teacher_channels=(3, 5)
) -> tuple[StudentOutput, TeacherOutput]:
    """Of both networks; the teacher sees the images twice as large."""
    boxes = torch.rand(B, T, 2, 2).sort(dim=2).values.flatten(2)
    boxes[0, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    maps = [
        tuple(
            torch.randn(B, channels, side, side) for channels, side in zip(pair, sides, strict=True)
        )
        for pair, sides in ((student_channels, (8, 4)), (teacher_channels, (16, 8)))
    ]
    valid = torch.arange(R) < torch.tensor([[R], [R - 2]])
    logits = (2 * torch.randn(B, R, C), 2 * torch.randn(B, R, C))
    teacher = TeacherOutput(maps[1], *logits, valid, boxes, torch.rand(B, T))
    return StudentOutput(maps[0], 3 * torch.randn(B, C)), teacher


def numpy(*tensors: torch.Tensor) -> list[np.ndarray]:
    return [tensor.detach().double().numpy() for tensor in tensors]


def near(tensor: torch.Tensor, expected: float) -> None:
    torch.testing.assert_close(tensor.detach().double(), torch.tensor(expected).double(), **CLOSE)


def adapt(maps: torch.Tensor, adapter: torch.nn.Module) -> np.ndarray:
    """A 1x1 convolution as a sum over channels."""
    if isinstance(adapter, torch.nn.Identity):
        return numpy(maps)[0]
    x, weight, bias = numpy(maps, adapter.weight[..., 0, 0], adapter.bias)
    return np.einsum('bdhw,ed->behw', x, weight) + bias[None, :, None, None]


@pytest.mark.parametrize('weighted', [True, False])
@pytest.mark.parametrize('layers', [(0,), (1,), (0, 1)])
def test_roi_feature_loss(weighted, layers):
    student, teacher = outputs()
    channels = [[side[i].shape[1] for i in layers] for side in (student.maps, teacher.maps)]
    loss = RoIFeatureLoss(*channels, layers, layers, pool_size=3, weighted=weighted, weight=0.5)
    weights = teacher.objectness if weighted else torch.ones(B, T)
    expected = 0
    for adapter, i in zip(loss.pairs.adapters, layers, strict=True):
        assert isinstance(adapter, torch.nn.Conv2d) == (i == 1)
        maps = adapt(student.maps[i], adapter)
        others = numpy(teacher.maps[i], teacher.boxes, weights)
        expected += 0.5 * reference.roi_feature_loss(maps, *others, 3)
    near(loss(student, teacher), expected)


def test_roi_feature_loss_sees_chosen_regions_only():
    """Cells that no box touches don't count, and a box of weight 0 doesn't either."""
    student, teacher = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    teacher[..., 6, 6] = 1
    boxes = torch.tensor([[[0.0, 0.0, 0.25, 0.25], [0.7, 0.7, 0.9, 0.9]]])
    assert roi_feature_loss(student, teacher, boxes[:, :1], None, 2) == 0
    assert roi_feature_loss(student, teacher, boxes, torch.tensor([[1.0, 0.0]]), 2) == 0
    assert roi_feature_loss(student, teacher, boxes, None, 2) > 0


@pytest.mark.parametrize('kind', ['squared', 'cross_entropy'])
def test_class_aware_loss(kind):
    student, teacher = outputs()
    loss = ClassAwareLoss(C, R, kind, weight=2.0)
    for parameter in loss.parameters():
        assert torch.equal(parameter, torch.zeros_like(parameter))  # all temperatures start at 1
        parameter.data.normal_(std=0.5)
    t_class, t_detection, t_student = numpy(*loss.temperatures())
    logits = numpy(teacher.class_logits, teacher.detection_logits)
    soft = reference.soft_teacher(*logits, teacher.valid.numpy(), t_class, t_detection)
    expected = reference.prediction_loss(*numpy(student.logits), t_student, soft, kind)
    near(loss(student, teacher), 2 * expected)


def test_temperature_gradients_are_those_of_equation_9():
    """Against finite differences of the reference; at t = 1, dL/dlog(t) is dL/dt."""
    student, teacher = outputs()
    loss = ClassAwareLoss(C, R)
    loss(student, teacher).backward()
    logits = numpy(teacher.class_logits, teacher.detection_logits)
    (ours,) = numpy(student.logits)

    def value(temperatures):
        soft = reference.soft_teacher(*logits, teacher.valid.numpy(), *temperatures[:2])
        return reference.prediction_loss(ours, temperatures[2], soft, 'squared')

    for which, parameter in enumerate(loss.parameters()):
        for i in range(len(parameter)):
            values = []
            for step in (1e-4, -1e-4):
                temperatures = [np.ones(C), np.ones(R), np.ones(C)]
                temperatures[which][i] += step
                values.append(value(temperatures))
            near(parameter.grad[i], (values[0] - values[1]) / 2e-4)


def test_temperatures_stay_positive():
    """However large the steps."""
    student, teacher = outputs()
    loss = ClassAwareLoss(C, R)
    optimizer = torch.optim.SGD(loss.parameters(), lr=100.0)
    for _ in range(5):
        optimizer.zero_grad()
        loss(student, teacher).backward()
        optimizer.step()
        assert all((t > 0).all() and t.isfinite().all() for t in loss.temperatures())
    assert all((t != 1).any() for t in loss.temperatures())


@pytest.mark.parametrize('kind', ['squared', 'cross_entropy'])
def test_plain_distillation_is_class_aware_with_fixed_temperatures(kind):
    student, teacher = outputs()
    options = dict(kind=kind, teacher_temperature=2.0, student_temperature=5.0, weight=0.3)
    plain = PlainDistillationLoss(**options)
    fixed = ClassAwareLoss(C, R, learn_teacher=False, learn_student=False, **options)
    torch.testing.assert_close(plain(student, teacher), fixed(student, teacher))
    assert not [p for p in (*plain.parameters(), *fixed.parameters()) if p.requires_grad]


def test_fitnets_loss():
    student, teacher = outputs()
    loss = FitNetsLoss((3, 4), (3, 5), (0, 1), (0, 1), weight=0.5)
    expected = sum(
        reference.hint_loss(adapt(ours, adapter), *numpy(theirs))
        for adapter, ours, theirs in zip(
            loss.pairs.adapters, student.maps, teacher.maps, strict=True
        )
    )
    near(loss(student, teacher), 0.5 * expected)


def test_attention_transfer_loss():
    student, teacher = outputs()
    pairs = zip(student.maps, teacher.maps, strict=True)
    expected = sum(reference.attention_loss(*numpy(*pair)) for pair in pairs)
    near(AttentionTransferLoss((0, 1), (0, 1), weight=3.0)(student, teacher), 3 * expected)


LOSSES = [
    RoIFeatureLoss((3, 4), (3, 5), (0, 1), (0, 1), pool_size=2),
    ClassAwareLoss(C, R),
    ClassAwareLoss(C, R, 'cross_entropy'),
    PlainDistillationLoss(),
    FitNetsLoss((3, 4), (3, 5), (0, 1), (0, 1)),
    AttentionTransferLoss((0, 1), (0, 1)),
]


@pytest.mark.parametrize('half', [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('loss', LOSSES, ids=lambda loss: type(loss).__name__)
def test_gradients_are_finite(loss, half):
    """Of every parameter and of the student, under automatic mixed precision, too."""
    student, teacher = outputs()
    used = student.maps if 'maps' in loss.uses else (student.logits,)
    for x in used:
        x.requires_grad_()
    loss.zero_grad()
    halved = [x.to(half) for x in (*teacher.maps, teacher.class_logits, teacher.detection_logits)]
    teacher = teacher._replace(
        maps=tuple(halved[:2]), class_logits=halved[2], detection_logits=halved[3]
    )
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half != torch.float32):
        value = loss(student, teacher)
    assert value.dtype == torch.float32 and value > 0
    value.backward()
    for x in (*used, *loss.parameters()):
        assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_extreme_logits_are_finite():
    student, teacher = outputs()
    student = student._replace(logits=1e4 * student.logits.sign())
    teacher = teacher._replace(class_logits=1e4 * teacher.class_logits)
    for kind in ('squared', 'cross_entropy'):
        loss = ClassAwareLoss(C, R, kind)
        value = loss(student, teacher)
        value.backward()
        assert value.isfinite() and all(p.grad.isfinite().all() for p in loss.parameters())


def test_adapter_initialisation():
    """Kaiming's for no activation: deviation 1 / sqrt(64)."""
    loss = RoIFeatureLoss(64, 200)
    (adapter,) = loss.pairs.adapters
    assert adapter.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert not adapter.bias.any()


def test_resize_images():
    images = torch.randn(2, 3, 12, 12)
    assert resize_images(images, None) is images and resize_images(images, 12) is images
    expected = F.interpolate(images, size=(5, 5), mode='bilinear', antialias=True)
    assert torch.equal(resize_images(images, 5), expected)


def test_errors():
    student, teacher = outputs()
    with pytest.raises(ValueError, match=r'student_channels=\(3, 4\).*expected as many of each'):
        RoIFeatureLoss((3, 4), 5)
    with pytest.raises(ValueError, match=r'output -1 of the student has shape \(2, 4, 4, 4\)'):
        RoIFeatureLoss(3, 5)(student, teacher)
    with pytest.raises(ValueError, match=r'expected \(B, 7, h, w\): see teacher_channels'):
        RoIFeatureLoss(4, 7)(student, teacher)
    with pytest.raises(ValueError, match='asks for output 2 of the student.*returns 2'):
        AttentionTransferLoss()(student, teacher)
    with pytest.raises(ValueError, match='expected as many of each'):
        AttentionTransferLoss((0, 1), (0,))
    with pytest.raises(ValueError, match="kind is 'l2', expected one of 'squared'"):
        ClassAwareLoss(C, R, 'l2')
    with pytest.raises(ValueError, match='student_temperature is 0, expected a number above 0'):
        PlainDistillationLoss(student_temperature=0)
    with pytest.raises(ValueError, match='scores 6 proposals and 4 classes.*num_proposals=7'):
        ClassAwareLoss(C, 7)(student, teacher)
