"""Laws of relaxing: the energy falls, updates have the same equilibria, even-odd squares the spectral radius."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import ZOO, close, double, scaled, slow_except

from hopfax import HAM, EvenOdd, Layer, Method, Synchronous, connect, relax
from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.lagrangians import Sigmoid, Softmax, Tanh
from hopfax.solvers import Anderson, Energy, EnergyEstimate, Picard
from hopfax.solvers.loop import fixed_point_function
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
    vector, unravel = ravel_pytree(problem.restrict(problem.model.zeros(jnp.float64)))
    return unravel(3 * jr.normal(key, vector.shape, jnp.float64))


@pytest.mark.parametrize("name", list(PAIRS))
def test_the_energy_never_rises_along_coloured_sweeps(name):
    """In twenty strongly coupled networks, from far away; with two colours this is even-odd."""

    def energies(key):
        problem = Problem(strong(PAIRS[name], key), Coloured())
        assert len(problem.model.graph.colours()) == COLOURS[name]

        def sweep(states, _):
            image = problem.image(states)
            return image, problem.model.energy(problem.reconstruct(states))

        return jax.lax.scan(sweep, start_of(problem, jr.fold_in(key, 1)), None, length=40)[1]

    runs = np.asarray(jax.jit(jax.vmap(energies))(jr.split(jr.key(1), 20)))
    assert np.diff(runs).max() <= 1e-13 * np.abs(runs).max()
    assert (runs[:, 0] - runs[:, -1] > 0.1).all()


@pytest.mark.parametrize("safeguard", [Energy(slack=4.0), EnergyEstimate()], ids=lambda s: type(s).__name__)
def test_the_energy_never_rises_over_the_points_that_anderson_accepts(safeguard):
    """Some points are rejected on such networks."""
    solver = Anderson(safeguard=safeguard)

    def accepted(key):
        problem = Problem(strong(PAIRS["path"], key), EvenOdd())
        start = start_of(problem, jr.fold_in(key, 1))
        fn = fixed_point_function(problem, solver)
        state = solver.init(fn, start, None, {}, *jax.eval_shape(fn, start, None), frozenset())

        def step(carry, _):
            energy, _ = problem.update.energy(problem.model, carry[0])
            states, state, info = solver.step(fn, *carry[:1], None, {}, carry[1], frozenset())
            return (states, state), (energy, info.accepted)

        return jax.lax.scan(step, (start, state), None, length=40)[1]

    energies, accepted_points = (np.asarray(x) for x in jax.jit(jax.vmap(accepted))(jr.split(jr.key(2), 20)))
    assert (~accepted_points).any()
    for energy, keep in zip(energies, accepted_points, strict=True):
        assert np.diff(energy[keep]).max() <= 1e-12 * np.abs(energy).max()


@pytest.mark.parametrize("name", ["chain3", "chain4"])
def test_even_odd_finds_the_synchronous_equilibrium_in_half_the_steps(name):
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
    vector, unravel = ravel_pytree(problem.restrict(point))
    return jax.jacobian(lambda z: ravel_pytree(problem.image(unravel(z)))[0])(vector)


def test_three_colours_find_the_synchronous_equilibrium():
    model, clamp = ZOO["triangle"]
    synchronous, coloured = (
        relax(model, clamp, method=Method(update=u, solver=Picard(), **TIGHT))
        for u in (Synchronous(), Coloured())
    )
    assert close(synchronous.state, coloured.state, 1e-9)
    assert coloured.steps < synchronous.steps


@pytest.mark.parametrize("name", slow_except(PAIRS, ["complete"]))
def test_the_order_of_layers_and_synapses_has_no_meaning(name):
    """States, activations, energies and gradients of weights are the same by name, in any order."""
    model = scaled(double(connect(LAYERS, PAIRS[name], key=jr.key(4), bias_std=0.5)), 0.4)
    shuffled = HAM(
        {layer: model.layers[layer] for layer in ("c", "a", "d", "b")}, dict(reversed(model.synapses.items()))
    )
    clamp, method = (
        {"a": jnp.array([0.3, -1.0, 0.5, 2.0])},
        Method(gradient=Implicit(ConjugateGradient(rtol=1e-12)), **TIGHT),
    )

    @eqx.filter_jit
    def everything(model):
        equilibrium = relax(model, clamp, method=method)
        loss = lambda model: jnp.sum(relax(model, clamp, method=method).activation["d"] ** 2)
        return (
            equilibrium.state,
            equilibrium.activation,
            equilibrium.energy,
            eqx.filter_grad(loss)(model).synapses,
        )

    ours, others = everything(model), everything(shuffled)
    for one, other in zip(ours[:2], others[:2], strict=True):
        assert one.keys() == other.keys()
        assert all(close(one[layer], other[layer], 1e-9) for layer in one)
    assert close(ours[2], others[2], 1e-9)
    for label, synapse in ours[3].items():
        assert all(
            close(*pair, 1e-6)
            for pair in zip(*map(jax.tree.leaves, (synapse, others[3][label])), strict=True)
        )
