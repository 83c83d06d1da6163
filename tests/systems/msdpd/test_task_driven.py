"""Task-driven pooling against NumPy in float64, a long descent, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmmlc.systems.msdpd import conjugate_gradients
from mmmlc.systems.msdpd.task_driven import (
    iterate_task_driven,
    task_driven_objective,
    task_driven_pool,
)


def part_maps(images: int, detectors: int, locations: int, scale: float = 3.0) -> torch.Tensor:
    return (scale * torch.randn(images, detectors, locations)).softmax(1)


def numpy_pool(parts: np.ndarray, ridge: float) -> np.ndarray:
    """The normal equations, image by image, as Murray and Perronnin print them."""
    found = []
    for maps in parts.astype(np.float64):
        detectors, locations = maps.shape
        matrix = maps @ maps.T + ridge * locations * np.eye(detectors)
        found.append(np.linalg.solve(matrix, maps.sum(1)))
    return np.stack(found)


@pytest.mark.parametrize('detectors, locations', [(12, 40), (40, 12), (16, 16)])
@pytest.mark.parametrize('ridge', [1e-3, 0.1, 10.0])
def test_closed_form_against_numpy(detectors, locations, ridge):
    parts = part_maps(3, detectors, locations)
    expected = numpy_pool(parts.numpy(), ridge)
    found = task_driven_pool(parts, ridge, solver='cholesky')
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.fixture
def no_factorisation(monkeypatch):
    """Conjugate gradients must get there by themselves."""

    def factorise(*_):
        raise AssertionError('fell back to a factorisation')

    monkeypatch.setattr(conjugate_gradients, 'factorise', factorise)


@pytest.mark.parametrize('detectors, locations', [(150, 400), (400, 150), (200, 200)])
@pytest.mark.parametrize('ridge', [1e-2, 0.1, 10.0])
def test_conjugate_gradients_against_numpy(no_factorisation, detectors, locations, ridge):
    parts = part_maps(3, detectors, locations)
    expected = numpy_pool(parts.numpy(), ridge)
    found = task_driven_pool(parts, ridge, solver='conjugate_gradients')
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_conjugate_gradients_reach_the_rounding_of_float64(no_factorisation):
    """In 40 iterations, which takes directions that are conjugate."""
    parts = part_maps(2, 400, 500).double()
    found = task_driven_pool(parts, 1e-3, 'conjugate_gradients')
    np.testing.assert_allclose(found, numpy_pool(parts.numpy(), 1e-3), rtol=1e-11)


def test_conjugate_gradients_where_most_detectors_hardly_fire(no_factorisation):
    """Which the diagonal of the system takes care of."""
    parts = part_maps(2, 150, 400) * torch.logspace(-4, 1, 150)[:, None]
    found = task_driven_pool(parts, 1e-4, 'conjugate_gradients')
    np.testing.assert_allclose(found, numpy_pool(parts.numpy(), 1e-4), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('tolerance', [1e-1, 1e-3, 1e-5])
def test_conjugate_gradients_keep_to_the_tolerance(no_factorisation, tolerance):
    """The gap is below the tolerance, and the work is not done for a smaller one."""
    parts = part_maps(4, 300, 400).double()
    minimum = task_driven_objective(parts, task_driven_pool(parts, 1e-3, 'cholesky'), 1e-3)
    found = task_driven_pool(parts, 1e-3, 'conjugate_gradients', tolerance)
    gap = task_driven_objective(parts, found, 1e-3) / minimum - 1
    assert (gap < tolerance).all() and gap.max() > tolerance / 1000


def test_hard_systems_are_factorised():
    # Two locations that are nearly the same for every detector, and hardly any ridge.
    parts = part_maps(2, 200, 100)
    parts = torch.cat((parts, parts + 1e-3 * torch.rand_like(parts)), 2).double()
    found = task_driven_pool(parts, 1e-12, 'conjugate_gradients')
    torch.testing.assert_close(found, task_driven_pool(parts, 1e-12, 'cholesky'))


def test_images_do_not_depend_on_their_batch(no_factorisation):
    """Also where one is solved at once, says nothing, or is broken."""
    hard = part_maps(2, 150, 400)
    alike = torch.full((1, 150, 400), 1 / 150)
    silent = torch.zeros(1, 150, 400)
    batch = torch.cat((hard, alike, silent))
    found = task_driven_pool(batch, 0.01, 'conjugate_gradients')
    expected = numpy_pool(batch.numpy(), 0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_broken_maps_break_their_image_only():
    batch = part_maps(3, 150, 400)
    batch[1, 0, 0] = torch.nan
    found = task_driven_pool(batch, 0.01, 'conjugate_gradients')
    assert found[1].isnan().all()
    expected = numpy_pool(batch[[0, 2]].numpy(), 0.01)
    np.testing.assert_allclose(found[[0, 2]], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('detectors, locations', [(6, 20), (20, 6)])
def test_closed_form_against_a_long_descent(detectors, locations):
    parts = part_maps(2, detectors, locations).double()
    descended = iterate_task_driven(parts, ridge=0.05, learning_rate=0.02, steps=5000)
    torch.testing.assert_close(task_driven_pool(parts, 0.05), descended, rtol=0, atol=1e-5)


def test_no_other_vector_is_better():
    parts = part_maps(1, 8, 30)
    best = task_driven_pool(parts, 0.1)
    others = best + 0.1 * torch.randn(100, 8)
    at_best = task_driven_objective(parts, best, 0.1)
    assert (task_driven_objective(parts.expand(100, -1, -1), others, 0.1) > at_best).all()


def test_objective_by_hand():
    # Locations (1, 0) and (0.5, 0.5), phi (1, 3): dot products 1 and 2, residuals 0 and 1.
    parts = torch.tensor([[[1.0, 0.5], [0.0, 0.5]]])
    phi = torch.tensor([[1.0, 3.0]])
    torch.testing.assert_close(task_driven_objective(parts, phi), torch.tensor([0.5]))
    torch.testing.assert_close(task_driven_objective(parts, phi, 2.0), torch.tensor([20.5]))


def test_one_step_of_descent_by_hand():
    # Gradient of the sum over both locations: 2 O (O^T phi - 1) = (1, 1) for residuals 0 and 1.
    parts = torch.tensor([[[1.0, 0.5], [0.0, 0.5]]])
    phi = iterate_task_driven(parts, 0.0, 0.1, 1, start=torch.tensor([[1.0, 3.0]]))
    torch.testing.assert_close(phi, torch.tensor([[0.9, 2.9]]))


def test_limits():
    """All ones for a vanishing ridge where M >= K; the direction of the average for a large one."""
    parts = part_maps(4, 10, 50).double()
    torch.testing.assert_close(task_driven_pool(parts, 1e-12), torch.ones(4, 10).double())
    cosine = torch.cosine_similarity(task_driven_pool(parts, 1e4), parts.mean(2), dim=1)
    assert (cosine > 1 - 1e-6).all()


@pytest.mark.parametrize('detectors, locations', [(3, 5), (5, 3)])
def test_gradient_against_finite_differences(detectors, locations):
    parts = part_maps(2, detectors, locations).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda maps: task_driven_pool(maps, 0.1), parts)


def test_gradient_of_conjugate_gradients_against_finite_differences(no_factorisation):
    parts = part_maps(1, 170, 200).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda maps: task_driven_pool(maps, 1.0, 'conjugate_gradients'), parts, fast_mode=True
    )


@pytest.mark.parametrize('detectors, locations', [(30, 80), (80, 30), (150, 300), (300, 150)])
def test_gradient_against_autograd_of_the_solve(detectors, locations):
    parts = part_maps(2, detectors, locations).requires_grad_()
    double = parts.detach().double().requires_grad_()
    cotangent = torch.randn(2, detectors)
    (found,) = torch.autograd.grad(task_driven_pool(parts, 0.01), parts, cotangent)
    gram = double @ double.mT + 0.01 * locations * torch.eye(detectors).double()
    phi = torch.linalg.solve(gram, double.sum(2))
    (expected,) = torch.autograd.grad(phi, double, cotangent.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_second_derivatives_are_refused():
    parts = part_maps(1, 3, 5).requires_grad_()
    energy = task_driven_pool(parts, 0.1).square().sum()
    (first,) = torch.autograd.grad(energy, parts, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        first.sum().backward()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('detectors, locations', [(6, 9), (150, 200)])
def test_half_precision_is_solved_in_float32(dtype, detectors, locations):
    parts = part_maps(2, detectors, locations).to(dtype)
    with torch.autocast('cpu', torch.bfloat16):
        pooled = task_driven_pool(parts, 0.1)
    torch.testing.assert_close(pooled, task_driven_pool(parts.float(), 0.1), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize('detectors, locations', [(6, 9), (150, 200)])
def test_compiles_without_a_graph_break(detectors, locations):
    compiled = torch.compile(task_driven_pool, fullgraph=True, backend='aot_eager')
    parts = part_maps(2, detectors, locations).requires_grad_()
    found, expected = compiled(parts, 0.1), task_driven_pool(parts, 0.1)
    torch.testing.assert_close(found, expected)
    cotangent = torch.randn_like(found)
    pair = [torch.autograd.grad(phi, parts, cotangent)[0] for phi in (found, expected)]
    torch.testing.assert_close(*pair)


def test_the_operator_is_sound():
    """Its schema, and the shapes that torch.compile is told, are those of what it does."""
    parts = part_maps(2, 150, 200)
    torch.library.opcheck(conjugate_gradients.solve_ridge, (parts, parts.sum(2), 2.0, 200.0, 1e-9))


def test_wrong_input():
    with pytest.raises(ValueError, match='ridge is 0, expected a positive number'):
        task_driven_pool(part_maps(1, 2, 3), 0)
    with pytest.raises(ValueError, match="solver is 'lu', expected one of 'auto', 'cholesky'"):
        task_driven_pool(part_maps(1, 2, 3), solver='lu')
    with pytest.raises(ValueError, match='tolerance is 0, expected a positive number'):
        task_driven_pool(part_maps(1, 2, 3), solver='conjugate_gradients', tolerance=0)
    with pytest.raises(ValueError, match=r'shape \(2, 3\), expected \(B, K, M\)'):
        task_driven_pool(torch.rand(2, 3))
