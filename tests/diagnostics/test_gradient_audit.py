"""The audit of a small network says what theory says."""

import jax.numpy as jnp
import jax.random as jr
import pytest

import hopfax
from hopfax.diagnostics.gradient_audit import audit


@pytest.fixture(scope="module")
def found():
    model = hopfax.chain([3, 4, 2], key=jr.key(0), bias_std=0.3)
    images, targets = jr.uniform(jr.key(1), (2, 3)), jnp.eye(2)
    return audit(model, {"input": images}, hopfax.costs.SquaredError(), targets, key=jr.key(2))


def test_exact_gradients_agree(found):
    assert found["reference_vs_finite_difference"] < 1e-6
    assert found["gradients"]["implicit"]["relative_error"] < 1e-4
    assert found["gradients"]["unrolled"]["relative_error"] < 1e-6


def test_equilibrium_propagation_has_its_orders(found):
    assert found["ep_order"]["centred"] == pytest.approx(2, abs=0.1)
    assert found["ep_order"]["positive"] == pytest.approx(1, abs=0.1)
    assert (
        found["gradients"]["ep_centred"]["relative_error"]
        < found["gradients"]["ep_positive"]["relative_error"]
    )


def test_equilibrium_propagation_is_exact_where_it_should_be(found):
    assert found["ep_finite_beta"] < 1e-5
    assert found["ep_steps"] < 1e-4


def test_even_odd_radius_is_the_synchronous_one_squared(found):
    radius = found["spectral_radius"]
    assert radius["even_odd"] == pytest.approx(radius["synchronous"] ** 2, rel=1e-6)
    assert found["smallest_hessian_eigenvalue"] == pytest.approx(1 - radius["synchronous"], abs=1e-6)
