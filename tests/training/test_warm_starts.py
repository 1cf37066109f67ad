"""Warm starts: the same equilibria in fewer steps, and nothing kept of what did not converge."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close, double, scaled

from hopfax import Equilibrium, Method, PartialClamp, Status, chain, relax
from hopfax.lagrangians import Tanh
from hopfax.training.warm_starts import WarmStarts

MODEL = scaled(double(chain([3, 4, 2], Tanh(), key=jr.key(0), bias_std=0.3)), 0.8)
MOVED = scaled(MODEL, 1.001)
INPUTS = np.random.default_rng(0).normal(size=(4, 3))
ZEROS = {"hidden": jnp.zeros((4, 4), jnp.float64), "output": jnp.zeros((4, 2), jnp.float64)}


def solved(model, start, rows=slice(None), rtol=1e-8, max_steps=200) -> Equilibrium:
    return relax(
        model, {"input": INPUTS[rows]}, start=start, method=Method(rtol=rtol, atol=0.0, max_steps=max_steps)
    )


@pytest.fixture(scope="module")
def first():
    return solved(MODEL, ZEROS)


def test_all_states_of_an_equilibrium_are_a_start_and_it_stays_put(first):
    again = solved(MODEL, first.state)
    assert again.steps.tolist() == [0] * 4
    assert close(again.state, first.state)


def test_a_partly_clamped_layer_can_be_part_of_the_start():
    clamp = {"input": PartialClamp(jnp.asarray(INPUTS), jnp.array([True, True, False]))}
    equilibrium = relax(MODEL, clamp, method=Method(rtol=1e-8, atol=0.0))
    again = relax(MODEL, clamp, start=equilibrium.state, method=Method(rtol=1e-7, atol=0.0))
    # One: a held neuron's own state is its drive, but it is reported at what it is held at.
    assert again.steps.tolist() == [1] * 4
    assert close(again.state, equilibrium.state, 1e-6)


def test_after_a_small_change_the_cache_leads_to_the_cold_equilibria_in_fewer_steps(first):
    cache = WarmStarts.cold(MODEL, ["hidden", "output"], 4, jnp.float64)
    order = np.array([2, 0, 3, 1])
    cache = cache.updated(order, jax.tree.map(lambda x: x[order], first))
    warm, cold = solved(MOVED, cache.start(np.arange(4))), solved(MOVED, ZEROS)
    assert warm.converged.all()
    assert close(warm.state, cold.state, 1e-6)
    assert (warm.steps < cold.steps).all()


def test_examples_unknown_or_not_converged_start_cold(first):
    short = solved(MODEL, ZEROS, max_steps=1)
    assert short.status.tolist() == [Status.max_steps] * 4
    cache = WarmStarts.cold(MODEL, ["output"], 6).updated(np.arange(4), first)
    assert cache.known.tolist() == [True] * 4 + [False] * 2
    assert close(
        cache.start(np.array([5, 3])), {"output": jnp.stack([jnp.zeros(2), first.state["output"][3]])}, 1e-6
    )
    again = cache.updated(np.arange(4), short)
    assert close(again, WarmStarts.cold(MODEL, ["output"], 6))


def test_compiled_it_is_the_same(first):
    cache, index = WarmStarts.cold(MODEL, ["output"], 4), jnp.arange(4)
    step = jax.jit(lambda cache, index: (cache.updated(index, first), cache.start(index)))
    assert close(step(cache, index), (cache.updated(index, first), cache.start(index)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: WarmStarts.cold(MODEL, ["visible"], 4), "unknown layer 'visible'"),
        (lambda c: WarmStarts.cold(MODEL, [], 4), "must name a layer"),
        (lambda c: WarmStarts.cold(MODEL, ["output"], 0), "examples=0"),
        (lambda c: c.start(np.array([4])), r"must lie in \[0, 4\)"),
        (lambda c: c.start(np.array([0.5])), "whole numbers"),
        (lambda c: c.start(np.array(1)), "must be a vector"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(WarmStarts.cold(MODEL, ["output"], 4))
