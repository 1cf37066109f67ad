"""The gradients of a small network agree as theory says."""

import jax.numpy as jnp
import jax.random as jr
import pytest

import hopfax
from hopfax.diagnostics import check_gradients

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result():
    model = hopfax.chain([3, 4, 2], key=jr.key(0), bias_std=0.3)
    images, targets = jr.uniform(jr.key(1), (2, 3)), jnp.eye(2)
    return check_gradients(model, {"input": images}, hopfax.costs.SquaredError(), targets, key=jr.key(2))


def test_exact_gradients_agree(result):
    assert result["reference_vs_finite_difference"] < 1e-6
    assert result["gradients"]["implicit"]["relative_error"] < 1e-4
    assert result["gradients"]["unrolled"]["relative_error"] < 1e-6


def test_equilibrium_propagation_has_its_orders(result):
    assert result["ep_order"]["centred"] == pytest.approx(2, abs=0.1)
    assert result["ep_order"]["positive"] == pytest.approx(1, abs=0.1)
    centred, positive = (
        result["gradients"][name]["relative_error"] for name in ("ep_centred", "ep_positive")
    )
    assert centred < positive


def test_equilibrium_propagation_is_exact_at_finite_beta_and_step_by_step(result):
    assert result["ep_finite_beta"] < 1e-5
    assert result["ep_steps"] < 1e-4


def test_the_even_odd_radius_is_the_synchronous_one_squared(result):
    radius = result["spectral_radius"]
    assert radius["even_odd"] == pytest.approx(radius["synchronous"] ** 2, rel=1e-6)
    assert result["smallest_hessian_eigenvalue"] == pytest.approx(1 - radius["synchronous"], abs=1e-6)


def test_all_results_are_plain_numbers(result):
    assert result["converged"] == 1.0
    assert 0 < result["beta"] <= 0.05
    assert result["beta"] <= result["critical_nudge"] / 20 * (1 + 1e-9)
    assert all(row["seconds"] > 0 for row in result["gradients"].values())
