"""Laws of relaxing: the energy falls, updates share equilibria, even-odd squares the spectral radius."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import ZOO, close, double, scaled

from hopfax import EvenOdd, Layer, Method, Synchronous, connect, relax
from hopfax.lagrangians import Sigmoid, Softmax, Tanh
from hopfax.solvers import Anderson, Energy, Picard
from hopfax.updates import Coloured
from hopfax.updates.problem import Problem

LAYERS = {
    "a": Layer(4, Tanh()),
    "b": Layer(3, Softmax(2.0)),
    "c": Layer(4, Tanh()),
    "d": Layer(3, Sigmoid(4.0)),
}
PAIRS = {
    "path": [("a", "b"), ("b", "c"), ("c", "d")],
    "triangle": [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")],
    "complete": [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")],
}
COLOURS = {"path": 2, "triangle": 3, "complete": 4}
TIGHT = {"rtol": 1e-12, "atol": 0.0, "max_steps": 3000}


def strong(pairs, key):
    """A strongly coupled network, far from contractive."""
    return scaled(double(connect(LAYERS, pairs, key=key, bias_std=0.5)), 3.0)


def start_of(problem, key):
    flat, unravel = ravel_pytree(problem.restrict(problem.model.zeros(jnp.float64)))
    return unravel(3 * jr.normal(key, flat.shape, jnp.float64))


@pytest.mark.parametrize("name", list(PAIRS))
def test_the_energy_never_rises_along_coloured_sweeps(name):
    """Twenty strongly coupled networks each, from far away; with two colours this is even-odd."""

    def energies(key):
        problem = Problem(strong(PAIRS[name], key), Coloured())
        assert len(problem.model.graph.colours()) == COLOURS[name]

        def sweep(states, _):
            image = problem.image(states)
            return image, problem.model.energy(problem.reconstruct(states))

        return jax.lax.scan(sweep, start_of(problem, jr.fold_in(key, 1)), None, length=40)[1]

    found = np.asarray(jax.jit(jax.vmap(energies))(jr.split(jr.key(1), 20)))
    assert np.diff(found).max() <= 1e-13 * np.abs(found).max()
    assert (found[:, 0] - found[:, -1] > 0.1).all()


def test_the_energy_never_rises_along_points_that_guarded_anderson_accepts():
    """And it does reject some of them on such networks."""
    solver = Anderson(safeguard=Energy(slack=4.0))

    def accepted(key):
        problem = Problem(strong(PAIRS["path"], key), EvenOdd())
        start = start_of(problem, jr.fold_in(key, 1))
        fn = lambda states, args: problem.evaluate(states)
        state = solver.init(fn, start, None, {}, *jax.eval_shape(fn, start, None), frozenset())

        def step(carry, _):
            states, state, trial = solver.step(fn, *carry[:1], None, {}, carry[1], frozenset())
            return (states, state), (trial.energy, trial.accepted)

        return jax.lax.scan(step, (start, state), None, length=40)[1]

    energies, kept = (np.asarray(x) for x in jax.jit(jax.vmap(accepted))(jr.split(jr.key(2), 20)))
    assert (~kept).any()
    for energy, keep in zip(energies, kept, strict=True):
        assert np.diff(energy[keep]).max() <= 1e-12 * np.abs(energy).max()


@pytest.mark.parametrize("name", ["chain3", "chain4"])
def test_even_odd_and_synchronous_share_their_equilibrium_at_half_the_steps(name):
    model, clamp = ZOO[name]
    synchronous, split = (
        relax(model, clamp, method=Method(update=u, solver=Picard(), **TIGHT))
        for u in (Synchronous(), EvenOdd())
    )
    assert close(synchronous.state, split.state, 1e-9)
    assert close(synchronous.energy, split.energy, 1e-11)
    assert 1.7 < synchronous.steps / split.steps < 2.3


@pytest.mark.parametrize("name", ["chain3", "chain4", "skip", "softmax"])
def test_the_even_odd_spectral_radius_is_the_synchronous_one_squared(name):
    model, clamp = ZOO[name]
    point = relax(model, clamp, method=Method(solver=Picard(), **TIGHT)).state
    radius = lambda update: np.abs(np.linalg.eigvals(jacobian(update, model.condition(clamp), point))).max()
    synchronous, split = radius(Synchronous()), radius(EvenOdd())
    assert split == pytest.approx(synchronous**2, rel=1e-6)


@eqx.filter_jit
def jacobian(update, free, point):
    problem = Problem(free, update)
    flat, unravel = ravel_pytree(problem.restrict(point))
    return jax.jacobian(lambda z: ravel_pytree(problem.image(unravel(z)))[0])(flat)


def test_three_colours_and_synchronous_share_their_equilibrium():
    model, clamp = ZOO["triangle"]
    found = [
        relax(model, clamp, method=Method(update=u, solver=Picard(), **TIGHT))
        for u in (Synchronous(), Coloured())
    ]
    assert close(found[0].state, found[1].state, 1e-9)
    assert found[1].steps < found[0].steps
