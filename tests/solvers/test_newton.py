"""Newton's method in `relax`: quadratic near an equilibrium; a failure does not affect other examples."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optimistix as optx
import pytest
from problems import close, double

from hopfax import HAM, Dense, Layer, Method, Status, chain, relax
from hopfax.lagrangians import Tanh
from hopfax.solvers import Newton, newton

MODEL = double(chain([3, 4, 2], Tanh(), key=jr.key(0), bias_std=0.3))
INPUTS = np.array([[0.3, -1.0, 0.7], [0.1, np.nan, 1.0], [1.0, 0.3, -0.2]])


def singular() -> HAM:
    """`b = 2 tanh(2 tanh(b) + 2 tanh(x))`: at `b = 0` the Jacobian is `4 / cosh²(2 tanh(x))`."""
    layers = {"x": Layer(1, Tanh()), "a": Layer(1, Tanh()), "b": Layer(1, Tanh())}
    weights = {("x", "a"): 2.0, ("a", "b"): 2.0}
    return HAM(layers, [Dense(pair, jnp.full((1, 1), w, jnp.float64)) for pair, w in weights.items()])


def test_a_few_steps_give_the_last_digits_and_a_bad_example_does_not_affect_the_others():
    rough = relax(MODEL, {"input": INPUTS}, method=Method(rtol=1e-2))
    fine = relax(
        MODEL, {"input": INPUTS}, start=rough.state, method=Method(solver=newton(), rtol=1e-14, atol=0.0)
    )
    exact = relax(MODEL, {"input": INPUTS}, method=Method(rtol=1e-13, atol=0.0))
    assert fine.status.tolist() == [Status.converged, Status.nonfinite, Status.converged]
    assert max(fine.steps.tolist()) <= 5
    assert close(
        jax.tree.map(lambda x: x[::2], fine.state), jax.tree.map(lambda x: x[::2], exact.state), 1e-11
    )


def test_inside_optimistix_it_has_tolerances_of_its_own():
    equilibrium = optx.fixed_point(lambda x, args: jnp.cos(x), newton(), jnp.full(3, 0.5, jnp.float64))
    assert close(equilibrium.value, 0.7390851332151607, 1e-6)


@pytest.mark.parametrize("direct", [True, False])
def test_a_linear_solve_that_fails_does_not_raise_or_affect_other_examples(direct):
    """The direct solve fails at a singular Jacobian in one example, and the iterative one for lack of products."""
    solver = Newton(1e-3, 1e-6) if direct else newton(max_products=1)
    critical = np.arctanh(np.arccosh(2.0) / 2)
    inputs = np.array([[2.0], [critical], [-1.5]])
    equilibrium = relax(singular(), {"x": inputs}, method=Method(solver=solver, rtol=1e-9, atol=0.0))
    alone = relax(singular(), {"x": inputs[::2]}, method=Method(solver=solver, rtol=1e-9, atol=0.0))
    assert np.isfinite(equilibrium.state["b"]).all()
    assert close(jax.tree.map(lambda x: x[::2], equilibrium.state), alone.state)
    assert alone.converged.all() == direct


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="rtol=0.0"):
        newton(rtol=0.0)
    with pytest.raises(ValueError, match="max_products=0"):
        newton(max_products=0)
