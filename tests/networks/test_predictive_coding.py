"""Predictive coding: the energy, both inferences, and the gradients, against backpropagation and closed forms."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close, double

from hopfax import HAM, Layer, Method, load_model, objective, relax, save_model
from hopfax.costs import SquaredError
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit, PredictiveCoding
from hopfax.lagrangians import Identity, ReLU, Tanh
from hopfax.networks import Conv, Prediction, predictive_coding
from hopfax.solvers import Anderson, FeedForward, Picard, Trace
from hopfax.updates import Coloured, Damped, ErrorOptimisation

SIZES, EXAMPLES = (6, 8, 7, 4), 5
EXACT = Method(ErrorOptimisation(), rtol=1e-11, atol=0.0, max_steps=2000, start=FeedForward())
IMAGES = jr.normal(jr.key(1), (EXAMPLES, SIZES[0]), jnp.float64)
TARGETS = jr.normal(jr.key(2), (EXAMPLES, SIZES[-1]), jnp.float64)


def network(activation=Tanh(), sizes=SIZES):
    model = double(predictive_coding(sizes, activation, key=jr.key(0)))
    biases = lambda m: [synapse.bias for synapse in m.synapses.values()]
    keys = jr.split(jr.key(3), len(sizes) - 1)
    drawn = [0.3 * jr.normal(k, b.shape, b.dtype) for k, b in zip(keys, biases(model), strict=True)]
    return eqx.tree_at(biases, model, drawn)


def feed_forward(model, image):
    for synapse in model.synapses.values():
        image = synapse.predict(image)
    return image


def loss(model):
    outputs = jax.vmap(lambda image: feed_forward(model, image))(IMAGES)
    return 0.5 * jnp.sum(jnp.square(outputs - TARGETS)) / EXAMPLES


@eqx.filter_jit
def gradient_by(model, gradient):
    """The value and the gradient of `objective` by that gradient."""
    method = dataclasses.replace(EXACT, gradient=gradient)
    costs = lambda m: jnp.mean(objective(m, {"input": IMAGES}, SquaredError(), TARGETS, method=method)[0])
    return eqx.filter_value_and_grad(costs)(model)


def cosines(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return [np.vdot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in pairs]


def same(a, b, tolerance):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.allclose(x, y, rtol=tolerance, atol=tolerance) for x, y in pairs)


def test_the_energy_is_the_sum_of_squared_errors():
    model = network()
    states = {name: jr.normal(jr.key(i), layer.shape) for i, (name, layer) in enumerate(model.layers.items())}
    below = [states[name] for name in model.order]
    w = [(s.transform.weight, s.bias) for s in model.synapses.values()]
    predictions = [below[0] @ w[0][0] + w[0][1], *(np.tanh(below[k]) @ w[k][0] + w[k][1] for k in (1, 2))]
    errors = [below[0], *(s - p for s, p in zip(below[1:], predictions, strict=True))]
    assert close(model.energy(states), sum(0.5 * np.sum(np.square(e)) for e in errors))


def test_a_prediction_may_be_a_convolution():
    kernel = jr.normal(jr.key(0), (3, 3, 2, 4), jnp.float64)
    synapse = Prediction(Conv(("a", "b"), kernel, padding=1), jnp.full(4, 0.2), ReLU())
    layers = {"a": Layer((5, 5, 2), Identity()), "b": Layer((5, 5, 4), Identity())}
    a, b = (jr.normal(jr.key(i), layer.shape) for i, layer in enumerate(layers.values(), 1))
    HAM(layers, [synapse])
    energy = lambda a, b: synapse(a, b) + 0.5 * jnp.sum(b**2) - 0.5 * jnp.sum((b - synapse.predict(a)) ** 2)
    assert close(energy(a, b), 0.0)
    slopes = jax.grad(synapse, argnums=(0, 1))(a, b)
    assert close(-synapse.drive("a", a, b), slopes[0])
    assert close(-synapse.drive("b", a, b), slopes[1])


@pytest.mark.parametrize("update", [Coloured(), ErrorOptimisation()])
def test_with_the_input_clamped_the_equilibrium_is_the_feed_forward_pass(update):
    model = network()
    method = dataclasses.replace(EXACT, update=update)
    equilibrium = relax(model, {"input": IMAGES}, method=method)
    outputs = jax.vmap(lambda image: feed_forward(model, image))(IMAGES)
    assert close(equilibrium.state["output"], outputs)
    assert close(equilibrium.energy, 0.5 * jnp.sum(IMAGES**2, axis=1))
    assert np.all(equilibrium.statistics.steps == 0)
    below = {"hidden1": jr.normal(jr.key(4), (EXAMPLES, 8)), "hidden2": jr.normal(jr.key(5), (EXAMPLES, 7))}
    sought = relax(model, {"input": IMAGES}, start=below, method=method)
    assert np.all(sought.converged)
    assert close(sought.state["output"], outputs, 1e-8)


def test_both_inferences_have_the_same_equilibrium():
    model = network()
    clamp = {"input": IMAGES, "output": TARGETS}
    errors = relax(model, clamp, method=EXACT)
    states = relax(model, clamp, method=dataclasses.replace(EXACT, update=Damped(Coloured(), 0.2)))
    assert np.all(errors.converged)
    assert np.all(states.converged)
    assert close(errors.energy, states.energy, 1e-9)
    for name in model.order:
        assert close(errors.state[name], states.state[name], 1e-7)


@pytest.fixture(scope="module")
def deep():
    """Seven layers with both ends clamped, and their equilibrium."""
    model = network(sizes=(20, *[20] * 5, 10))
    clamp = {"input": jr.normal(jr.key(1), (4, 20), jnp.float64), "output": jnp.eye(10)[:4]}
    return model, clamp, relax(model, clamp, method=EXACT).state


def sweeps_to(fraction, deep, update, solver):
    """The sweeps after which the slowest example has that fraction of its first distance from the equilibrium."""
    model, clamp, end = deep
    method = dataclasses.replace(EXACT, update=update, solver=solver, max_steps=400)
    states = relax(model, clamp, method=method, trace=Trace(401, state=True)).trace.state
    squares = [np.sum((np.asarray(states[n]) - np.asarray(end[n])[:, None]) ** 2, axis=2) for n in end]
    distance = np.sqrt(np.sum(squares, axis=0))
    far = ~(distance <= fraction * distance[:, :1])
    return int(np.max(np.sum(np.cumprod(far, axis=1), axis=1)))


@pytest.mark.slow
def test_errors_take_a_tenth_of_the_sweeps_of_states_at_seven_layers(deep):
    """Gradient descent in the states, at the best of three steps, beside the default solver in the errors."""
    states = min(sweeps_to(1e-2, deep, Damped(Coloured(), step), Picard()) for step in (0.15, 0.2, 0.3))
    assert 10 * sweeps_to(1e-2, deep, ErrorOptimisation(), Anderson()) <= states


@pytest.mark.parametrize("update", [Coloured(), ErrorOptimisation(1.0)])
def test_the_energy_never_rises(deep, update):
    model, clamp, _ = deep
    method = dataclasses.replace(EXACT, update=update, rtol=1e-8, max_steps=100)
    energy = np.asarray(relax(model, clamp, method=method, trace=Trace(100, energy=True)).trace.energy)
    assert np.nanmax(np.diff(energy, axis=1)) <= 1e-11


def test_a_free_input_has_a_standard_normal_prior():
    """In a linear network `p(input | output)` is Gaussian, and the equilibrium is its mean."""
    model = network(Identity())
    matrix = jax.jacobian(lambda x: feed_forward(model, x))(IMAGES[0])
    offset = feed_forward(model, jnp.zeros(SIZES[0]))
    weights = [np.asarray(s.transform.weight) for s in model.synapses.values()]
    equilibrium = relax(model, {"output": TARGETS}, method=EXACT)
    covariance = matrix @ matrix.T + _spread(weights)
    mean = np.linalg.solve(covariance, np.asarray(TARGETS - offset[None]).T).T @ np.asarray(matrix)
    assert close(equilibrium.state["input"], mean, 1e-8)


def _spread(weights):
    """`I + J Jᵀ`, the covariance of the output of a linear network given the input."""
    total, product = np.eye(weights[-1].shape[1]), np.eye(weights[-1].shape[1])
    for weight in weights[:0:-1]:
        product = product @ weight.T
        total = total + product @ product.T
    return total


@pytest.mark.slow
def test_a_linear_network_has_a_closed_form():
    """`E* = ½ rᵀ (I + J Jᵀ)⁻¹ r`, and its gradient is the rule of predictive coding."""
    model = network(Identity())

    def closed(model):
        weights = [s.transform.weight for s in model.synapses.values()]
        total, product = jnp.eye(SIZES[-1]), jnp.eye(SIZES[-1])
        for weight in weights[:0:-1]:
            product = product @ weight.T
            total = total + product @ product.T
        r = TARGETS - jax.vmap(lambda image: feed_forward(model, image))(IMAGES)
        return 0.5 * jnp.sum(r.T * jnp.linalg.solve(total, r.T)) / EXAMPLES

    energy, expected = eqx.filter_value_and_grad(closed)(model)
    equilibrium = relax(model, {"input": IMAGES, "output": TARGETS}, method=EXACT)
    assert close(jnp.mean(equilibrium.energy - 0.5 * jnp.sum(IMAGES**2, axis=1)), energy, 1e-9)
    value, gradient = gradient_by(model, PredictiveCoding())
    assert close(value, loss(model))
    assert same(gradient, expected, 1e-7)


@pytest.mark.parametrize(
    ("gradient", "tolerance"),
    [(Implicit(ConjugateGradient(1e-10)), 1e-8), (EquilibriumPropagation(1e-2), 1e-2)],
)
def test_at_a_small_nudge_the_gradient_is_backpropagation(gradient, tolerance):
    model = network()
    value, estimate = gradient_by(model, gradient)
    expected = eqx.filter_grad(loss)(model)
    assert close(value, loss(model))
    assert min(cosines(estimate, expected)) > 0.9999
    assert same(estimate, expected, tolerance)


@pytest.mark.slow
def test_the_rule_is_local_and_the_gradient_of_the_clamped_energy():
    model = network()
    clamp = {"input": IMAGES, "output": TARGETS}
    _, gradient = gradient_by(model, PredictiveCoding())
    energy = lambda model: jnp.mean(relax(model, clamp, method=EXACT).energy)
    assert same(gradient, eqx.filter_grad(energy)(model), 1e-7)
    s = relax(model, clamp, method=EXACT).state
    last = model.synapses["hidden2-output"]
    error = s["output"] - jax.vmap(last.predict)(s["hidden2"])
    local = -jnp.einsum("na,nb->ab", jnp.tanh(s["hidden2"]), error) / EXAMPLES
    assert close(gradient.synapses["hidden2-output"].transform.weight, local, 1e-7)


def test_equilibria_are_read_by_the_method_of_training():
    """Evaluation and the warnings of training relax by the method that trains."""
    model = network()
    read = relax(model, {"input": IMAGES}, method=dataclasses.replace(EXACT, gradient=PredictiveCoding()))
    expected = relax(model, {"input": IMAGES}, method=EXACT)
    assert same(read.activation, expected.activation, 1e-12)


def test_files(tmp_path):
    model = network()
    save_model(model, tmp_path)
    assert eqx.tree_equal(model, load_model(tmp_path))
