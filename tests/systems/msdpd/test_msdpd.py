"""MsDPD's head: losses by hand, gradients, the ablations, mining in a small training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmmlc.systems.msdpd.head import MsDPDHead
from mmmlc.systems.msdpd.part_detectors import PartDetectors
from mmmlc.systems.msdpd.task_driven import iterate_task_driven, task_driven_pool


def make_head(**options) -> MsDPDHead:
    defaults = dict(
        num_classes=3, in_channels=(4, 5), num_parts=(6, 7), plain_channels=5, instances=4
    )
    head = MsDPDHead(**defaults | options)
    head.init_weights()
    return head


def make_features(images: int = 2) -> tuple[torch.Tensor, ...]:
    return torch.randn(images, 4, 4, 4), torch.randn(images, 5, 2, 2)


def make_samples() -> list[DataSample]:
    return [DataSample().set_gt_label([0, 2]), DataSample().set_gt_label([1])]


def numpy_j(head: MsDPDHead, features: tuple[torch.Tensor, ...]) -> dict[str, float]:
    """J1, J2 and J3 of every scale from the equations, location by location."""
    targets = np.array([[1, 0, 1], [0, 1, 0]], dtype=np.float64)
    losses, pooled = {}, []
    for number, (scale, maps) in enumerate(zip(head.detectors, features, strict=True), 1):
        weight, bias = scale.weight.detach().numpy(), scale.bias.detach().numpy()
        phis, j2, parts = [], [], []
        for image in maps.flatten(2).numpy().astype(np.float64):
            scores = np.exp(weight @ image + bias[:, None])
            part = scores / scores.sum(0)
            detectors, locations = part.shape
            matrix = part @ part.T + scale.ridge * locations * np.eye(detectors)
            phi = np.linalg.solve(matrix, part.sum(1))
            j2 += [(part[:, j] @ phi - 1) ** 2 for j in range(locations)]
            phis.append(phi)
            parts.append(part)
        best = np.sort(np.concatenate(parts, axis=1), axis=1)[:, -head.instances :]
        losses[f'loss_scale{number}_j2'] = head.j2_weight * np.mean(j2)
        losses[f'loss_scale{number}_j3'] = -head.j3_weight * np.log(best).mean()
        lengths = np.linalg.norm(phis, axis=1, keepdims=True)
        pooled.append(phis / lengths * np.sqrt(len(weight)))
    pooled.append(features[-1].mean((2, 3)).numpy())
    layers = [*head.classifiers, head.fusion]
    names = [*head.scale_names, 'fused']
    for name, layer, x in zip(names, layers, [*pooled, np.concatenate(pooled, 1)], strict=True):
        p = 1 / (1 + np.exp(-(x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())))
        j1 = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(1).mean()
        losses[f'loss_{name}'] = j1
    return losses


def test_objective_against_numpy():
    head, features = make_head(), make_features()
    expected = numpy_j(head, features)
    found = head.loss(features, make_samples())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize('training', ['end_to_end', 'alternating'])
@pytest.mark.parametrize('pooling', ['task_driven', 'average', 'max'])
def test_every_parameter_gets_a_gradient(training, pooling):
    head = make_head(training=training, pooling=pooling)
    features = tuple(f.requires_grad_() for f in make_features())
    sum(head.loss(features, make_samples()).values()).backward()
    for name, parameter in head.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_alternating_leaves_the_backbone_to_the_plain_scale():
    head = make_head(training='alternating')
    features = tuple(f.requires_grad_() for f in make_features())
    sum(head.loss(features, make_samples()).values()).backward()
    assert features[0].grad is None and features[1].grad.abs().sum() > 0


def test_alternating_moves_phi_down_the_objective():
    head = make_head(training='alternating', phi_steps=5, phi_rate=0.05)
    features, samples = make_features(), make_samples()
    still = make_head(training='alternating', phi_steps=0)
    still.load_state_dict(head.state_dict())
    moved, fixed = head.loss(features, samples), still.loss(features, samples)
    assert moved['loss_scale1'] < fixed['loss_scale1']
    assert moved['loss_scale3'] == fixed['loss_scale3']


def test_phi_of_a_test_image_knows_no_labels():
    head, features = make_head(training='alternating'), make_features()
    head.eval()
    scale = head.detectors[0]
    expected = task_driven_pool(scale.maps(features[0]), scale.ridge)
    torch.testing.assert_close(scale(features[0]).phi, expected)


@pytest.mark.parametrize(
    'solver', ['cholesky', 'conjugate_gradients', dict(type='closed', tolerance=1e-9)]
)
def test_solvers_of_the_closed_form_agree(solver):
    features = make_features()[0]
    scale, other = PartDetectors(4, 6), PartDetectors(4, 6, solver=solver)
    other.load_state_dict(scale.state_dict())
    torch.testing.assert_close(other(features).phi, scale(features).phi)


def test_iterative_solver_takes_its_options():
    solver = dict(type='iterative', learning_rate=0.02, steps=3)
    scale, features = PartDetectors(4, 6, solver=solver), make_features()[0]
    expected = iterate_task_driven(scale.maps(features), scale.ridge, 0.02, 3)
    torch.testing.assert_close(scale(features).phi, expected, rtol=0, atol=0)


def test_left_over_detectors_are_masked_out():
    scale = PartDetectors(4, 6)
    weight, bias = torch.randn(2, 4), torch.randn(2)
    scale.set_detectors(weight, bias)
    parts = scale(make_features()[0])
    assert (parts.maps[:, 2:] == 0).all() and (parts.feature[:, 2:] == 0).all()
    torch.testing.assert_close(parts.maps.sum(1), torch.ones(2, 16))
    torch.testing.assert_close(parts.feature.norm(dim=1), torch.full((2,), 2**0.5))
    with pytest.raises(ValueError, match='7 mined detectors of 4 channels, this scale has room'):
        scale.set_detectors(torch.randn(7, 4), torch.randn(7))


def test_mask_survives_a_checkpoint():
    scale, other = PartDetectors(4, 6), PartDetectors(4, 6)
    scale.set_detectors(torch.randn(2, 4), torch.randn(2))
    other.load_state_dict(scale.state_dict())
    assert other.used.tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize('pooling', ['task_driven', 'average', 'max'])
def test_without_part_detectors(pooling):
    head = make_head(num_parts=(0, 0), pooling=pooling)
    features = make_features()
    losses = head.loss(features, make_samples())
    assert {*losses} == {'loss_scale1', 'loss_scale2', 'loss_scale3', 'loss_fused'}
    flat = features[0].flatten(2)
    if pooling == 'task_driven':
        flat = task_driven_pool(flat / flat.norm(dim=1, keepdim=True), 0.01)
    pooled = dict(task_driven=flat, average=flat.mean(-1), max=flat.amax(-1))[pooling]
    expected = pooled / pooled.norm(dim=1, keepdim=True) * 2
    torch.testing.assert_close(head.detectors[0](features[0]).feature, expected)


def test_predictions_of_every_scale():
    head, features = make_head(prediction='scale2'), make_features()
    samples = head.predict(features, make_samples())
    found = [{*s.keys()} & {'scale1_score', 'scale2_score', 'scale3_score'} for s in samples]
    assert all(len(names) == 3 for names in found)
    for sample, logits in zip(samples, head(features), strict=True):
        torch.testing.assert_close(sample.pred_score, logits.sigmoid())
        torch.testing.assert_close(sample.pred_score, sample.scale2_score)


def test_autocast_in_bfloat16():
    head, features = make_head(), make_features()
    expected = sum(head.loss(features, make_samples()).values())
    with torch.autocast('cpu', torch.bfloat16):
        found = sum(head.loss(features, make_samples()).values())
    assert found.item() == pytest.approx(expected.item(), rel=0.01)


def test_wrong_options():
    with pytest.raises(ValueError, match=r'head.num_parts has 1 values, head.in_channels has 2'):
        make_head(num_parts=(6,))
    with pytest.raises(ValueError, match="training='end_to_end' needs head.solver='closed'"):
        make_head(solver='iterative')
    with pytest.raises(ValueError, match="training='end_to_end' needs head.solver='closed'"):
        make_head(solver=dict(type='iterative', steps=3))
    with pytest.raises(ValueError, match="head.solver is 'exact', expected one of 'closed'"):
        make_head(solver='exact')
    with pytest.raises(ValueError, match="type 'iterative' got 'rate', expected none but: learn"):
        PartDetectors(4, 6, solver=dict(type='iterative', rate=0.1))
    with pytest.raises(ValueError, match="head.prediction is 'scale4', expected one of 'fused'"):
        make_head(prediction='scale4')
    with pytest.raises(ValueError, match='returns 1 maps, model.head.indices asks for number 1'):
        make_head()((make_features()[0],))
    with pytest.raises(ValueError, match=r'expected a map \(B, 4, h, w\)'):
        make_head()(make_features()[::-1])
