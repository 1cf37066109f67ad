"""Spectra at an equilibrium, against dense linear algebra on a small network."""

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest
from jax.flatten_util import ravel_pytree

import hopfax
from hopfax.diagnostics.spectra import (
    critical_nudge,
    smallest_hessian_eigenvalue,
    spectral_radius,
    warn_of_large_nudge,
)

TARGET = jnp.array([1.0, 0.0])
COST = hopfax.costs.SquaredError()


@pytest.fixture(scope="module")
def equilibrium():
    model = hopfax.chain([3, 4, 3, 2], hopfax.lagrangians.Tanh(), key=jr.key(0), bias_std=0.2)
    clamp = {"input": jnp.array([0.5, -1.0, 0.3], jnp.float64)}
    return (
        model,
        clamp,
        hopfax.relax(model, clamp, method=hopfax.Method(rtol=1e-12, atol=0.0, max_steps=1000)).state,
    )


def dense_jacobian(model, clamp, states, update):
    free = model.condition(clamp)
    point, unravel = ravel_pytree({name: states[name] for name in update.unknowns(free)})
    return jax.jit(jax.jacobian(lambda z: ravel_pytree(update.image(free, unravel(z)))[0]))(point)


@pytest.mark.parametrize("update", [hopfax.Synchronous(), hopfax.EvenOdd()])
def test_spectral_radius_is_the_largest_eigenvalue(equilibrium, update):
    expected = jnp.max(jnp.abs(jnp.linalg.eigvals(dense_jacobian(*equilibrium, update))))
    assert jnp.allclose(spectral_radius(*equilibrium, update, key=jr.key(1)), expected, rtol=1e-6)


def test_smallest_hessian_eigenvalue_is_one_minus_the_synchronous_radius(equilibrium):
    """The synchronous Jacobian is similar to the scaled coupling; its spectrum is symmetric about zero."""
    expected = 1 - jnp.max(jnp.real(jnp.linalg.eigvals(dense_jacobian(*equilibrium, hopfax.Synchronous()))))
    assert jnp.allclose(smallest_hessian_eigenvalue(*equilibrium, key=jr.key(2)), expected, atol=1e-6)


@pytest.mark.slow
def test_critical_nudge_is_where_the_nudged_hessian_is_singular(equilibrium):
    model, clamp, states = equilibrium
    critical = float(critical_nudge(model, clamp, states, COST, TARGET, key=jr.key(3), steps=60))
    free = model.condition(clamp)
    activations, unravel = ravel_pytree(free.activations({n: states[n] for n in free.order}))

    def energy(g, beta):
        """`E - β C` in the activations, with `L*` of tanh written out."""
        parts = unravel(g)
        neurons = sum(jnp.sum(a * jnp.arctanh(a) + 0.5 * jnp.log1p(-(a**2))) for a in parts.values())
        return neurons + free.interaction(parts) - beta * COST({}, parts, TARGET)

    smallest = jax.jit(lambda beta: jnp.linalg.eigvalsh(jax.hessian(energy)(activations, beta))[0])
    assert smallest(0.0) > 0
    assert abs(smallest(critical)) < 1e-4 * abs(smallest(0.0))


def test_a_nudge_above_a_tenth_of_the_critical_one_warns():
    with pytest.warns(UserWarning, match="above a tenth of the critical nudge"):
        warn_of_large_nudge(0.05, jnp.array([0.7, 0.4]))
    warn_of_large_nudge(0.03, jnp.array([0.7, 0.4]))


def test_a_cost_on_a_clamped_layer_cannot_be_nudged(equilibrium):
    model, clamp, _ = equilibrium
    with pytest.raises(ValueError, match="which is not free"):
        model.condition(clamp) + 0.1 * hopfax.costs.SquaredError("input").with_target(TARGET)
