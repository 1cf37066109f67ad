"""A backward solve from an earlier solution gives the same gradient in fewer products."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import lineax as lx
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import close, costs_with_stats, double, scaled

from hopfax import EvenOdd, Method, chain
from hopfax.costs import SquaredError
from hopfax.gradients import AdjointStats, ConjugateGradient, Implicit, Iterated, Krylov, RecurrentBackprop
from hopfax.lagrangians import Tanh
from hopfax.solvers import Picard
from hopfax.training.warm_starts import WarmStarts

MODEL = scaled(double(chain([3, 5, 4, 5, 2], Tanh(), key=jr.key(1), bias_std=0.3)), 1.2)
INPUTS, TARGETS = np.random.default_rng(0).normal(size=(3, 3)), jnp.array([[1.0, -0.5]] * 3)
UNKNOWNS = {"hidden2": 4, "output": 2}
ADJOINTS = {
    "conjugate gradients": (Implicit(ConjugateGradient(rtol=1e-9)), 2),
    "krylov": (Implicit(Krylov(lx.BiCGStab(rtol=1e-9, atol=1e-12))), 1),
    "iterated": (Implicit(Iterated(rtol=1e-9)), 1),
    "recurrent": (RecurrentBackprop(300, 1e-9), 2),
}


@eqx.filter_jit
def differentiated(gradient, stats, model=MODEL):
    """The gradient in the weights, summed over the batch, and the statistics."""
    method = Method(EvenOdd(), Picard(), gradient, 1e-12, 0.0, 1000)

    def loss(both):
        return jnp.sum(
            costs_with_stats(
                both[0], {"input": jnp.asarray(INPUTS)}, SquaredError(), TARGETS, method, both[1]
            )
        )

    weights, stats = eqx.filter_grad(loss)((model, stats))
    return ravel_pytree(eqx.filter(weights, eqx.is_inexact_array))[0], stats


def zeros():
    return {name: jnp.zeros((3, size), jnp.float64) for name, size in UNKNOWNS.items()}


@pytest.mark.parametrize("name", list(ADJOINTS))
def test_from_near_the_solution_the_same_gradient_takes_fewer_products(name):
    gradient, most = ADJOINTS[name]
    expected, cold = differentiated(gradient, AdjointStats.blank(3, zeros()))
    near = jax.tree.map(lambda x: x * (1 + 1e-4), cold.solution)
    again, warm = differentiated(gradient, AdjointStats.blank(3, near))
    _, exact = differentiated(gradient, AdjointStats.blank(3, warm.solution))
    assert close(again, expected, 1e-7)
    assert (np.asarray(warm.flagged) == 0).all()
    assert (np.asarray(warm.products) < np.asarray(cold.products)).all()
    # To find that the start is the solution.
    assert (np.asarray(exact.products) <= most).all()


def test_the_statistics_have_the_solution_of_the_adjoint_equation_if_it_has_a_start():
    gradient, _ = ADJOINTS["conjugate gradients"]
    with_start, stats = differentiated(gradient, AdjointStats.blank(3, zeros()))
    without, blank = differentiated(gradient, AdjointStats.blank(3))
    assert blank.solution is None
    assert (np.asarray(stats.products) == np.asarray(blank.products) + 1).all()
    assert close(with_start, without)
    assert stats.solution["output"].shape == (3, 2)


@pytest.mark.parametrize("bad", [1e6, np.nan])
def test_a_bad_start_does_no_harm(bad):
    gradient, _ = ADJOINTS["conjugate gradients"]
    expected, cold = differentiated(gradient, AdjointStats.blank(3, zeros()))
    value, stats = differentiated(gradient, AdjointStats.blank(3, jax.tree.map(lambda x: x + bad, zeros())))
    assert close(value, expected, 1e-8)
    assert close(stats.products, cold.products)


def test_a_cache_stores_adjoints_like_states():
    gradient, _ = ADJOINTS["conjugate gradients"]
    cache, index = (
        WarmStarts.cold(MODEL, ["output", "hidden2", "hidden1"], 9, jnp.float64),
        np.array([7, 0, 3]),
    )
    _, stats = differentiated(gradient, AdjointStats.blank(3, cache.start(index)))
    good = jnp.array([True, True, False])
    start = cache.stored(index, stats.solution, good).start(index)
    assert close(start["output"][:2], stats.solution["output"][:2])
    assert (np.asarray(start["output"][2]) == 0).all()
    assert (np.asarray(start["hidden1"]) == 0).all()
    assert (np.asarray(stats.solution["hidden2"]) != 0).all()


def test_a_start_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"it needs .*'hidden2'"):
        differentiated(Implicit(), AdjointStats.blank(3, {"output": zeros()["output"]}))
