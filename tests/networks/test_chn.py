"""Continuous Hopfield networks: energy and flow, all updates and gradients, and the HAM with the same equilibria."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import double, scaled

from hopfax import CHN, EvenOdd, Layer, PartialClamp, Synchronous, chain, objective, relax
from hopfax.costs import SquaredError
from hopfax.gradients import EquilibriumPropagation, Implicit, RecurrentBackprop
from hopfax.lagrangians import HardSigmoid, Identity, ReLU, Sigmoid, Softmax, Tanh
from hopfax.method import Method
from hopfax.networks.chn import CHNLagrangian
from hopfax.networks.chn.local_minimum import _Bracket, derivative, local_minimum
from hopfax.solvers import Picard
from hopfax.updates import Coloured, Damped, LocalSteps

HALF = Damped(Synchronous(), 0.5)
EXACT = {"rtol": 1e-13, "atol": 0.0, "max_steps": 4000}
NEURONS = [Sigmoid.paper(), Tanh(0.7), Sigmoid(), Identity()]


def network(sizes=(4, 5, 4, 3), factor=1.4) -> CHN:
    return CHN.like(scaled(double(chain(sizes, key=jr.key(0))), factor))


MODEL = network()
CLAMP = {"input": jr.uniform(jr.key(1), (6, 4), jnp.float64)}
EQUILIBRIUM = relax(MODEL, CLAMP, method=Method(**EXACT))


def largest(tree_a, tree_b) -> float:
    return max(float(np.abs(np.asarray(tree_a[n]) - np.asarray(tree_b[n])).max()) for n in tree_a)


def test_the_energy_is_that_of_the_paper():
    state = {n: jr.normal(jr.key(i), MODEL.layers[n].shape, jnp.float64) for i, n in enumerate(MODEL.order)}
    g = MODEL.activations(state)
    weights = [s.weight for s in MODEL.synapses.values() if len(s.layers) == 2]
    pairs = [s.layers for s in MODEL.synapses.values() if len(s.layers) == 2]
    biases = {s.layers[0]: s.bias for s in MODEL.synapses.values() if len(s.layers) == 1}
    joined = sum(g[a] @ w @ g[b] for (a, b), w in zip(pairs, weights, strict=True))
    expected = sum(0.5 * s @ s for s in state.values()) - joined - sum(b @ g[n] for n, b in biases.items())
    np.testing.assert_allclose(MODEL.energy(state), expected, rtol=1e-12)


def test_minus_the_residual_is_the_flow_down_the_energy():
    state = {n: jr.normal(jr.key(i), MODEL.layers[n].shape, jnp.float64) for i, n in enumerate(MODEL.order)}
    downhill, residual = jax.jit(lambda s: (jax.grad(MODEL.energy)(s), MODEL.residual(s)))(state)
    assert largest(residual, downhill) < 1e-13


@pytest.mark.parametrize(
    "update", [HALF, LocalSteps(), EvenOdd(), Coloured()], ids=lambda u: type(u).__name__
)
def test_every_update_finds_the_same_equilibrium(update):
    equilibrium = relax(MODEL, CLAMP, method=Method(update=update, solver=Picard(), **EXACT))
    assert equilibrium.converged.all()
    assert largest(equilibrium.state, EQUILIBRIUM.state) < 1e-10


def test_exact_even_odd_updates_never_raise_the_energy():
    free = MODEL.condition({"input": CLAMP["input"][0]})
    step = eqx.filter_jit(lambda z: (EvenOdd().image(free, z), EvenOdd().energy(free, z)[0]))
    state = {n: jnp.full(free.layers[n].shape, 2.0) for n in EvenOdd().unknowns(free)}
    energies = []
    for _ in range(30):
        state, energy = step(state)
        energies.append(float(energy))
    assert np.all(np.diff(energies) <= 1e-12)
    whole = EvenOdd().reconstruct(free, state)
    np.testing.assert_allclose(free.energy(whole), EvenOdd().energy(free, state)[0], rtol=1e-12)


@pytest.mark.slow
def test_its_ham_has_the_same_equilibria():
    """Goemaere et al. (2024), Theorem 3."""
    ham = MODEL.to_ham()
    equilibrium = relax(ham, MODEL.ham_states(CLAMP), method=Method(**EXACT))
    assert largest(MODEL.chn_states(equilibrium.state), EQUILIBRIUM.state) < 1e-10
    np.testing.assert_allclose(equilibrium.energy, EQUILIBRIUM.energy, rtol=1e-10)


@pytest.mark.parametrize("neurons", NEURONS, ids=lambda n: type(n).__name__)
def test_the_two_conversions_of_states_are_inverse(neurons):
    """For drives from small to large, of both signs, and at random."""
    continuous, sizes = CHNLagrangian(neurons), np.logspace(-12, np.log10(60), 30)
    drives = np.concatenate(
        [-sizes, [0.0], sizes, np.asarray(jr.uniform(jr.key(2), (60,), minval=-60, maxval=60))]
    )
    there_and_back = jax.jit(lambda drives: continuous.ham_state(continuous.chn_state(drives)))
    np.testing.assert_allclose(there_and_back(drives), drives, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("neurons", NEURONS[:2], ids=lambda n: type(n).__name__)
def test_its_lagrangian_has_the_activation_as_gradient_and_half_the_square_as_energy(neurons):
    continuous, drives = CHNLagrangian(neurons), np.linspace(-9, 9, 7)
    slope, g, value, energy = jax.jit(
        lambda u: (jax.grad(continuous)(u), continuous.activation(u), continuous(u), continuous.energy(u))
    )(drives)
    np.testing.assert_allclose(slope, g, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(drives @ g - value, energy, rtol=1e-10)


def test_local_minima_of_many_neurons_are_those_of_each_alone():
    """Some of these brackets must be doubled, others not."""
    neurons, drives = Tanh(3.0), np.array([0.1, -0.05, 0.7, 2.0, -9.0, 0.0])
    minimum = jax.jit(lambda drives: local_minimum(neurons, drives))
    together, alone = minimum(drives), np.stack([minimum(drive) for drive in drives])
    np.testing.assert_allclose(together, alone, rtol=1e-13)
    np.testing.assert_allclose(together, derivative(neurons, together) * drives, atol=1e-12)


@pytest.mark.parametrize("neurons", NEURONS, ids=lambda n: type(n).__name__)
def test_local_minima_take_a_few_steps_of_newton(neurons):
    """Bisection alone takes about 50."""
    drives = jnp.linspace(-30.0, 30.0, 60)
    advance = lambda b: b.step(neurons, drives)
    end = jax.jit(
        lambda: jax.lax.while_loop(lambda b: b.running(), advance, _Bracket.initial(neurons, drives))
    )()
    assert end.done.all()
    assert end.steps <= 12


def test_local_minima_are_minima_with_the_derivative_of_finite_differences():
    neurons, drives = Sigmoid.paper(), jnp.linspace(-30, 30, 13)
    local = lambda s: 0.5 * s**2 - neurons.activation(s) * drives
    minimum = jax.jit(lambda drives: local_minimum(neurons, drives))
    best = minimum(drives)
    for shift in (1e-3, -1e-3, 0.3, -0.3):
        assert (local(best) <= local(best + shift)).all()
    numeric = (minimum(drives + 1e-5) - minimum(drives - 1e-5)) / 2e-5
    derivative = jax.jit(jax.vmap(jax.grad(minimum)))(drives)
    np.testing.assert_allclose(derivative, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("neurons", "reason"),
    [
        (Sigmoid(12.0, 0.5), "from 0.085 to 0.47 it falls"),
        (ReLU(), "ρ is flat"),
        (HardSigmoid(), "ρ is flat"),
    ],
)
def test_to_ham_names_the_interval_without_a_bijection(neurons, reason):
    model = CHN.like(chain([2, 3, 2], neurons, key=jr.key(0)))
    with pytest.raises(ValueError, match=reason):
        model.to_ham()


def test_a_chn_without_a_bijection_can_be_relaxed():
    model = CHN.like(scaled(double(chain([4, 5, 3], ReLU(), key=jr.key(0), bias_std=1.0)), 0.4))
    clamp = {"input": CLAMP["input"][0]}
    equilibrium = relax(model, clamp, method=Method(**EXACT))
    free = {name: equilibrium.state[name] for name in ("hidden", "output")}
    residual = model.condition(clamp).residual(free)
    assert max(float(jnp.abs(x).max()) for x in residual.values()) < 1e-10


TIGHT = {"rtol": 1e-12, "max_steps": 4000}
GRADIENTS = {
    "implicit": Method(gradient=Implicit(), **TIGHT),
    "damped": Method(HALF, Picard(), RecurrentBackprop(1500), **TIGHT),
    "local steps": Method(LocalSteps(2), Picard(), RecurrentBackprop(500), **TIGHT),
    "even-odd": Method(EvenOdd(), Picard(), RecurrentBackprop(500), **TIGHT),
}
TARGET = jax.nn.one_hot(jnp.arange(6) % 3, 3, dtype=jnp.float64)


def small() -> CHN:
    model = network((4, 3, 3), factor=0.9)
    layers = {n: Layer(3, Identity()) if n == "output" else model.layers[n] for n in model.order}
    return CHN(layers, model.synapses)


def weight_gradient(model, clamp, method):
    total = lambda m: jnp.sum(objective(m, clamp, SquaredError(), TARGET, method=method)[0])
    return eqx.filter_jit(eqx.filter_grad(total))(model).synapses["hidden-output"].weight


@pytest.mark.slow
def test_gradients_agree_with_each_other_and_with_equilibrium_propagation_in_its_ham():
    model = small()
    gradients = {name: weight_gradient(model, CLAMP, method) for name, method in GRADIENTS.items()}
    for gradient in gradients.values():
        np.testing.assert_allclose(gradient, gradients["damped"], rtol=1e-4, atol=1e-7)
    method = Method(gradient=EquilibriumPropagation(beta=1e-3), rtol=1e-10, max_steps=2000)
    estimate = weight_gradient(model.to_ham(), model.ham_states(CLAMP), method)
    np.testing.assert_allclose(estimate, gradients["damped"], rtol=1e-3, atol=1e-6)


def test_equilibrium_propagation_refuses_it_and_names_to_ham():
    with pytest.raises(ValueError, match="to_ham"):
        weight_gradient(small(), CLAMP, Method(gradient=EquilibriumPropagation()))


def test_half_steps_are_stable_below_a_saturated_state_and_not_above():
    """The slope of a neuron at a fixed drive is 4 s (1 - 2 ρ(s)), so step ½ diverges above s = 0.9928."""
    neurons = Sigmoid.paper()

    def converges(state: float) -> bool:
        drive = state / derivative(neurons, jnp.asarray(state))
        step = lambda s, _: (0.5 * s + 0.5 * derivative(neurons, s) * drive, None)
        last, _ = jax.lax.scan(step, jnp.asarray(state + 1e-3), None, length=20_000)
        return bool(abs(last - state) < 1e-6)

    assert converges(0.98)
    assert not converges(1.0)


def test_some_neurons_may_be_clamped():
    known = PartialClamp(jnp.full((6, 5), 0.7), jnp.arange(5) < 2)
    equilibrium = relax(MODEL, {**CLAMP, "hidden1": known}, method=Method(**EXACT))
    other = relax(MODEL, {**CLAMP, "hidden1": known}, method=Method(update=HALF, solver=Picard(), **EXACT))
    assert (equilibrium.state["hidden1"][:, :2] == 0.7).all()
    assert largest(equilibrium.state, other.state) < 1e-10


def test_dependent_neurons_and_wrong_local_steps_are_refused():
    with pytest.raises(ValueError, match="independent neurons"):
        CHN.like(chain([2, 3, 2], Softmax(), key=jr.key(0)))
    with pytest.raises(ValueError, match=r"LocalSteps\(steps=0\)"):
        LocalSteps(steps=0)
    with pytest.raises(ValueError, match=r"LocalSteps\(step=1.5\)"):
        LocalSteps(step=1.5)
