"""The slope of the energy, which the map gives, and the estimate of the change of the energy from two of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import ZOO, close, double, scaled

from hopfax import CHN, HAM, EvenOdd, Layer, Method, Synchronous, chain, costs, relax
from hopfax.lagrangians import Identity, Sigmoid, Softmax, Tanh
from hopfax.memory import ModernHopfield
from hopfax.memory.phase import equidistant_patterns, thresholds
from hopfax.networks import Bias, Dense
from hopfax.solvers import Anderson, Broyden, EnergyEstimate
from hopfax.solvers.loop import fixed_point_function
from hopfax.updates import Coloured
from hopfax.updates.problem import AbstractMap, Problem, Slope, StepInfo

CHAIN = chain([3, 4, 2], Tanh(), key=jr.key(0))
HAMS = {name: case for name, case in ZOO.items() if isinstance(case[0], HAM)}


def slope_of(problem: Problem, states) -> Slope:
    slope = problem.evaluate(states, slope=True)[1].slope
    assert slope is not None
    return slope


def energy_of(problem: Problem, states):
    return problem.update.energy(problem.model, states)[0]


def random_states(problem: Problem, key, size=1.0):
    vector, unravel = ravel_pytree(problem.restrict(problem.model.zeros(jnp.float64)))
    return unravel(size * jr.normal(key, vector.shape, jnp.float64))


def problem_of(model, clamp=None, update=Coloured()) -> Problem:
    return Problem(model.condition({} if clamp is None else clamp), update)


@pytest.mark.parametrize("name", list(HAMS))
def test_the_slope_is_the_derivative_of_the_energy_with_the_other_layers_eliminated(name):
    problem = problem_of(*HAMS[name])
    if not problem.update.gives_slope(problem.model):
        pytest.skip("more than one colour remains")
    states = random_states(problem, jr.key(0))
    derivative = eqx.filter_jit(jax.grad(lambda s: energy_of(problem, s)))(states)
    assert close(eqx.filter_jit(slope_of)(problem, states).by_state, derivative, 1e-9)


def test_a_nudged_network_has_its_own_slope():
    model = double(chain([3, 4, 2], [Identity(), Tanh(), Sigmoid()], key=jr.key(0), bias_std=0.5))
    target = jnp.array([1.0, 0.0])
    nudged = model.condition({"input": jnp.ones(3)}) + 0.3 * costs.SquaredError().with_target(target)
    problem = Problem(nudged, Coloured())
    states = random_states(problem, jr.key(1))
    assert close(slope_of(problem, states).by_state, jax.grad(lambda s: energy_of(problem, s))(states), 1e-9)


def test_the_estimate_is_exact_where_all_neurons_are_linear():
    """The energy is quadratic then, and both trapezoidal rules are exact."""
    problem = problem_of(scaled(double(chain([3, 4, 5], Identity(), key=jr.key(0), bias_std=1.0)), 0.3))
    start, end = (random_states(problem, jr.key(i)) for i in (1, 2))
    rise = slope_of(problem, end).largest_rise_from(slope_of(problem, start))
    assert close(rise, energy_of(problem, end) - energy_of(problem, start), 1e-10)


@pytest.mark.parametrize("lagrangian", [Tanh(), Sigmoid.paper(), Softmax()], ids=lambda x: type(x).__name__)
def test_the_estimate_lies_above_the_change_of_the_energy_by_an_error_of_third_order(lagrangian):
    model = scaled(double(chain([3, 6, 4], lagrangian, key=jr.key(0), bias_std=1.0)), 2.0)
    problem = problem_of(model, {"input": jnp.array([0.5, -1.0, 1.0])})

    @jax.jit
    def excess(key, length):
        start = random_states(problem, key)
        direction = random_states(problem, jr.fold_in(key, 1))
        end = jax.tree.map(lambda s, d: s + length * d, start, direction)
        estimate = slope_of(problem, end).largest_rise_from(slope_of(problem, start))
        return estimate - (energy_of(problem, end) - energy_of(problem, start))

    keys, lengths = jr.split(jr.key(3), 50), 0.1 / 2 ** jnp.arange(4)
    errors = np.asarray(jax.vmap(lambda k: jax.vmap(lambda length: excess(k, length))(lengths))(keys))
    orders = np.log2(np.abs(errors[:, :-1] / errors[:, 1:]))
    assert np.median(orders) == pytest.approx(3, abs=0.1)
    assert np.mean(errors > 0) > 0.8  # the added error is an estimate, not a bound


@pytest.mark.parametrize(
    ("model", "update", "known"),
    [
        (CHAIN, Coloured(), True),
        (CHAIN, EvenOdd(), True),
        (CHAIN, Synchronous(), False),
        (CHN(CHAIN.layers, CHAIN.synapses), Coloured(), False),
    ],
)
def test_where_the_map_does_not_give_the_slope_the_energy_itself_is_compared(model, update, known):
    problem = problem_of(model, {"input": jnp.ones(3)}, update)
    states = jax.tree.map(lambda x: x + 0.1, problem.restrict(problem.model.zeros()))
    info = fixed_point_function(problem, Anderson())(states, None)[1]
    assert (info.slope is not None) == known
    assert (info.energy != 0) == (not known)


def test_without_a_slope_the_estimate_decides_as_the_energy_does():
    one = jnp.ones(())
    info = lambda energy: StepInfo(one, one, energy * one, one)
    assert EnergyEstimate().rejects(info(1.1), info(1.0))
    assert not EnergyEstimate().rejects(info(0.9), info(1.0))


@pytest.mark.slow
def test_a_memory_at_its_critical_temperature_ends_at_the_fold_or_below_it():
    """The minimum at a pattern and its barrier meet there. What passes them, if by a rounding error, descends on."""
    patterns = equidistant_patterns(8, 64, 2.0, 0.0, jr.key(0)).astype(jnp.float32)
    starts = jnp.resize(patterns, (1024, 64)) + 0.1 * jr.normal(jr.key(1), (1024, 64), jnp.float32)
    model = ModernHopfield(patterns, thresholds(8).in_beta(2.0, 0.0).spinodal).ham()
    method = Method(rtol=1e-6, atol=0.0, max_steps=500)
    equilibrium = relax(model, start={"visible": starts}, method=method)
    fold, below = relax(
        model, start={"visible": jnp.stack([patterns[0], patterns.mean(0)])}, method=method
    ).energy
    assert equilibrium.converged.all()
    near = lambda energy: jnp.abs(equilibrium.energy - energy) < 1e-5
    assert (near(fold) | near(below)).all()
    assert near(fold).any()
    assert below < fold


@pytest.mark.parametrize("solver", [Anderson(), Broyden()], ids=lambda s: type(s).__name__)
def test_a_saddle_is_left_in_a_strongly_coupled_network(solver):
    """The state zero is a saddle, and the start is near it."""
    weight = 1.2 * jnp.linalg.qr(jr.normal(jr.key(3), (3, 3), jnp.float64))[0]
    model = HAM(
        {"a": Layer(3, Tanh()), "b": Layer(3, Tanh())}, [Dense(("a", "b"), weight), Bias("a", jnp.zeros(3))]
    )
    start = {"b": 1e-3 * jr.normal(jr.key(4), (5, 3), jnp.float64)}
    equilibrium = relax(model, start=start, method=Method(solver=solver, rtol=1e-9, atol=0.0, max_steps=2000))
    assert equilibrium.converged.all()
    assert (equilibrium.energy < -1e-3).all()


class Halving(AbstractMap):
    """`z ↦ z / 2` with the energy `z²`, if it is asked for, and no slope."""

    def evaluate(self, states, energy=True, slope=False):
        (z,) = states["z"]
        zero = jnp.zeros_like(z)
        return {"z": states["z"] / 2}, StepInfo(z / 2, z / 2, z**2 if energy else zero, zero)


def test_a_map_that_gives_no_slope_is_judged_by_its_energy():
    assert Anderson().safeguard.watches_slope
    _, info = fixed_point_function(Halving(), Anderson())({"z": jnp.array([3.0])}, None)
    assert info.energy == 9
