"""Laws on convolutional, residual and attention networks: what is eliminated, the energy, equilibria, gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import close, double, scaled

import hopfax
from hopfax import HAM, Bias, EvenOdd, Layer, Method, PartialClamp, Synchronous, objective, relax
from hopfax.costs import CrossEntropy, SquaredError
from hopfax.diagnostics import LayerStep, exactness, worst_array
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit, Unrolled
from hopfax.lagrangians import AlongAxis, HardSigmoid, Identity, LayerNorm, ReLU, Sigmoid, Softmax, Tanh
from hopfax.networks import (
    Attention,
    AveragePool,
    ConvBlock,
    MaxPool,
    PatchClamp,
    SharedDense,
    SoftPool,
    convolutional,
    image_transformer,
    residual,
    with_feedback,
)
from hopfax.objective import cost_gradient
from hopfax.solvers import Anderson, Picard
from hopfax.solvers.loop import fixed_point_function
from hopfax.updates import Coloured
from hopfax.updates.problem import Problem

SHAPE = (6, 6, 2)
TIGHT = {"rtol": 1e-11, "atol": 1e-13, "max_steps": 800}
IMAGE = jr.uniform(jr.key(9), SHAPE, jnp.float64)


def pooled(pool, lagrangian, depth=2, scale=0.6) -> HAM:
    """Two or three convolutions, the last ones pooled."""
    blocks = [ConvBlock(3, 3), ConvBlock(4, 3, pool=pool), *[ConvBlock(3, 3)] * (depth - 2)]
    neurons = [Identity(), *[lagrangian] * depth, Identity()]
    model = convolutional(SHAPE, blocks, 3, neurons, key=jr.key(1), bias_std=0.3)
    return scaled(double(model), scale)


def transformer(scale=0.5) -> HAM:
    model = image_transformer(jnp.zeros((2, 2, 2)), 14, 2, 5, key=jr.key(2))
    return scaled(double(model), scale)


def tokens_and_memories() -> HAM:
    """A modern Hopfield network for each token."""
    layers = {"tokens": Layer((4, 3), Tanh()), "memories": Layer((4, 5), AlongAxis(Softmax(2.0), -1))}
    weight = jr.normal(jr.key(3), (3, 5), jnp.float64)
    return HAM(layers, [SharedDense(("tokens", "memories"), weight), Bias("tokens", jnp.ones(3))])


KNOWN = PatchClamp(jnp.zeros((4, 2)))(
    jr.normal(jr.key(4), (4, 2), jnp.float64), jnp.array([[True] * 2, [False] * 2, [True] * 2, [False] * 2])
)
WHOLE = {"input": IMAGE}
NETWORKS = {  # the network, its clamp, and the layers that are eliminated
    "plain": (pooled(None, Tanh()), WHOLE, {"hidden2"}),
    "average": (pooled(AveragePool(2), Tanh()), WHOLE, {"hidden2"}),
    "average, three": (pooled(AveragePool(2), Sigmoid(), 3), WHOLE, {"hidden1", "hidden3"}),
    "max": (pooled(MaxPool(2), Sigmoid(4.0)), WHOLE, {"hidden2"}),
    "max, three": (pooled(MaxPool(2), HardSigmoid(), 3), WHOLE, {"hidden3"}),
    "soft": (pooled(SoftPool(2), Sigmoid()), WHOLE, {"hidden2"}),
    "line": (
        double(
            convolutional((9, 2), [ConvBlock(4, 3, groups=2), ConvBlock(2, 3, stride=2), 5], 3, key=jr.key(5))
        ),
        {"input": jnp.ones((9, 2))},
        {"hidden1", "hidden3"},
    ),
    "residual": (
        scaled(double(residual(SHAPE, 2, 4, 3, lagrangian=Tanh(), key=jr.key(6))), 0.6),
        WHOLE,
        {"hidden3", "output"},
    ),
    "transformer": (transformer(), KNOWN, {"image", "memories"}),
    "tokens and memories": (tokens_and_memories(), {}, {"tokens"}),
}


def problem_of(model, clamp) -> Problem:
    return Problem(model.condition(clamp), Coloured())


@pytest.mark.parametrize("name", list(NETWORKS))
def test_which_layers_are_eliminated(name):
    """Those in which all synapses are affine and that share none."""
    model, clamp, eliminated = NETWORKS[name]
    free = model.condition(clamp)
    assert set(free.order) - set(Coloured().unknowns(free)) == eliminated
    whole = [layer for layer, value in clamp.items() if not isinstance(value, PartialClamp)]
    steps = {one.layer: one for one in exactness(model, whole)}
    assert {layer for layer, one in steps.items() if one.step is LayerStep.eliminated} == eliminated


def test_what_prevents_an_exact_step_is_named():
    model, _, _ = NETWORKS["max, three"]
    steps = {one.layer: (one.step, one.synapse) for one in exactness(model, ["input"])}
    assert steps["hidden1"] == (LayerStep.majorised, "hidden1-hidden2")
    assert steps["hidden2"] == (LayerStep.exact, None)
    signed = {one.layer: one for one in exactness(pooled(MaxPool(2), Tanh()), ["input"])}
    assert signed["hidden1"].step is LayerStep.guarded
    assert "because of the synapse 'hidden1-hidden2'" in str(signed["hidden1"])
    assert signed["output"].step is LayerStep.together
    with pytest.raises(ValueError, match="`clamped` names an unknown layer 'inputs'"):
        exactness(model, ["inputs"])


@pytest.mark.parametrize(
    ("pool", "lagrangian"),
    [
        (AveragePool(2), Tanh()),
        (MaxPool(2), ReLU()),
        pytest.param(MaxPool(2), Sigmoid(), marks=pytest.mark.slow),
        pytest.param(SoftPool(2), HardSigmoid(), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_energy_never_rises_where_each_synapse_is_affine_or_concave(pool, lagrangian):
    """In 20 networks from far away: below a pool the step minimises an upper bound. Derived in this project."""

    def energies(key, scale):
        model = scaled(pooled(pool, lagrangian, 3, 1.0), scale)
        problem = problem_of(model, {"input": jr.normal(key, SHAPE, jnp.float64)})
        assert problem.update.descends(problem.model)
        vector, unravel = ravel_pytree(problem.restrict(problem.model.zeros(jnp.float64)))

        def sweep(states, _):
            image, info = problem.evaluate(states)
            return image, (info.energy, info.energy_size)

        return jax.lax.scan(sweep, unravel(2 * jr.normal(key, vector.shape, jnp.float64)), None, length=12)[1]

    runs, sizes = jax.jit(jax.vmap(energies))(jr.split(jr.key(1), 20), jnp.linspace(0.2, 1.5, 20))
    assert np.max(np.diff(runs) / sizes[:, 1:]) <= 1e-13


def accepted_energies(model, clamp, start, steps=60):
    """The energies of the points that the default solver accepts, and whether any was rejected."""
    problem, solver = problem_of(model, clamp), Anderson()
    fn = fixed_point_function(problem, solver)
    image, info = jax.eval_shape(fn, start, None)
    state = solver.init(fn, start, None, {}, image, info, frozenset())
    dynamic, static = eqx.partition(state, eqx.is_array)

    def step(carry, _):
        point, dynamic = carry
        exact = problem.evaluate(point)[1]
        point, state, info = solver.step(fn, point, None, {}, eqx.combine(dynamic, static), frozenset())
        return (point, eqx.filter(state, eqx.is_array)), (exact.energy, exact.energy_size, info.accepted)

    return jax.lax.scan(step, (start, dynamic), None, length=steps)[1]


@pytest.mark.parametrize("name", ["max under tanh", "transformer"])
def test_the_default_solver_never_accepts_a_rise_of_the_energy(name):
    """Where nothing else guards a step, the safeguard does; and without it the energy does rise."""
    make = {"max under tanh": lambda s: pooled(MaxPool(2), Tanh(), 2, s), "transformer": transformer}[name]
    clamp = WHOLE if name == "max under tanh" else KNOWN

    def run(key, scale):
        model = make(scale)
        problem = problem_of(model, clamp)
        assert not problem.update.descends(problem.model)
        vector, unravel = ravel_pytree(problem.restrict(problem.model.zeros(jnp.float64)))
        return accepted_energies(model, clamp, unravel(2 * jr.normal(key, vector.shape, jnp.float64)))

    runs, sizes, accepted = jax.jit(jax.vmap(run))(jr.split(jr.key(2), 20), jnp.linspace(0.5, 3.0, 20))
    for energy, size, kept in zip(*map(np.asarray, (runs, sizes, accepted)), strict=True):
        assert np.max(np.diff(energy[kept]) / size[kept][1:]) <= 4.1 * np.finfo(np.float64).eps
    if name == "max under tanh":
        assert not np.all(accepted)


@pytest.mark.parametrize("name", ["average", "average, three", "line"])
def test_even_odd_and_synchronous_updates_have_the_same_equilibrium(name):
    model, clamp, _ = NETWORKS[name]
    results = [
        relax(model, clamp, method=Method(update, Picard(), **TIGHT)) for update in (EvenOdd(), Synchronous())
    ]
    assert all(result.converged for result in results)
    assert close(*(result.activation for result in results), 1e-8)


METHODS = {
    "implicit": Implicit(ConjugateGradient(rtol=1e-12)),
    "unrolled": Unrolled(150),
    "ep": EquilibriumPropagation(1e-3),
}


@pytest.mark.parametrize(
    "name",
    [
        "average",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("max", "soft", "residual", "transformer")),
    ],
)
def test_three_gradients_agree_in_every_parameter_array(name):
    """Implicit differentiation, unrolling and equilibrium propagation, and finite differences along one direction."""
    model, clamp, _ = NETWORKS[name]
    layer = "output" if "output" in model.layers else "image"
    cost, target = SquaredError(layer), jr.normal(jr.key(7), model.layers[layer].shape, jnp.float64)

    @eqx.filter_jit
    def value(model, gradient):
        return objective(model, clamp, cost, target, method=Method(gradient=gradient, **TIGHT))[0]

    gradients = {label: eqx.filter_grad(value)(model, method) for label, method in METHODS.items()}
    exact = jax.tree_util.tree_leaves_with_path(gradients["implicit"])
    for label, tolerance in (("unrolled", 1e-5), ("ep", 1e-3)):  # unrolled through Anderson weights
        for (path, wanted), actual in zip(exact, jax.tree.leaves(gradients[label]), strict=True):
            distance = jnp.linalg.norm(actual - wanted)
            bound = tolerance * jnp.linalg.norm(wanted) + 1e-9
            assert distance <= bound, (label, jax.tree_util.keystr(path))
    vector, unravel = ravel_pytree(eqx.filter(model, eqx.is_inexact_array))
    direction, static = (
        jr.normal(jr.key(8), vector.shape, jnp.float64),
        eqx.filter(model, eqx.is_inexact_array, inverse=True),
    )
    at = lambda h: value(eqx.combine(unravel(vector + h * direction), static), METHODS["implicit"])
    slope = (at(1e-5) - at(-1e-5)) / 2e-5
    assert close(slope, ravel_pytree(gradients["implicit"])[0] @ direction, 1e-5)


@pytest.mark.slow
def test_equilibrium_propagation_is_right_in_every_array_in_float32_with_little_feedback():
    """The phases differ by 1e-6 in the first layer, so their energies must not be subtracted."""
    blocks = [ConvBlock(4, 3), ConvBlock(4, 3), ConvBlock(4, 3)]
    neurons = [Identity(), ReLU(), ReLU(), ReLU(), Identity()]
    model = with_feedback(convolutional(SHAPE, blocks, 3, neurons, key=jr.key(1)), 0.03)
    images, targets = jr.uniform(jr.key(2), (8, *SHAPE)), jax.nn.one_hot(jnp.arange(8) % 3, 3)

    def gradient(model, images, method):
        return cost_gradient(model, {"input": images}, CrossEntropy(), targets, method=method).gradient

    exact = gradient(double(model), images.astype(jnp.float64), Method(**TIGHT))
    estimate = gradient(model, images, Method(gradient=EquilibriumPropagation(0.1), rtol=1e-3))
    assert worst_array(estimate, exact)[1] > 0.99


@pytest.mark.slow
def test_nudged_phases_converge_in_float32_where_steps_are_guarded():
    """The energy of a small deviation changes by less than its rounding, so the guard must not compare energies."""
    tokens, images, targets = jnp.zeros((16, 8)), *jr.normal(jr.key(5), (2, 6, 16, 8))
    model = image_transformer(tokens.reshape(4, 4, 8), 24, 2, 32, key=jr.key(2))
    clamp = PatchClamp(tokens)(images, jnp.broadcast_to((jnp.arange(16) % 2 == 0)[:, None], (16, 8)))
    assert not Coloured().descends(model)

    def gradient(model, method):
        return cost_gradient(model, clamp, SquaredError("image"), targets, method=method)

    exact = gradient(double(model), Method(**TIGHT))
    estimate = gradient(model, Method(gradient=EquilibriumPropagation(), rtol=1e-4))
    assert not jnp.any(estimate.adjoint.flagged)
    assert jnp.max(estimate.adjoint.products) < 100
    assert worst_array(estimate.gradient, exact.gradient)[1] > 0.999


def test_a_network_of_every_kind_is_saved_and_loaded(tmp_path):
    for name, (model, _, _) in NETWORKS.items():
        hopfax.save_model(model, tmp_path / name)
        assert close(
            eqx.filter(hopfax.load_model(tmp_path / name), eqx.is_array), eqx.filter(model, eqx.is_array)
        )


@pytest.mark.slow
def test_weak_feedback_keeps_the_energy_of_a_convolutional_chain():
    model = with_feedback(pooled(AveragePool(2), Tanh()), 0.1)
    result = relax(model, WHOLE, method=Method(**TIGHT))
    assert result.converged
    slope = jax.grad(lambda s: model.energy({**result.state, "hidden1": s}))(result.state["hidden1"])
    assert close(slope, jnp.zeros_like(slope), 1e-9)


def test_kernels_are_xavier_uniform_by_their_fan():
    network = convolutional((9, 9, 20), [ConvBlock(40, 3, groups=2)], 2, key=jr.key(0))
    kernel, bound = np.asarray(network.synapses["input-hidden"].kernel), np.sqrt(6 / (9 * 10 + 9 * 20))
    assert 0.999 * bound < np.abs(kernel).max() <= bound
    assert abs(kernel.std() - bound / np.sqrt(3)) < 0.01 * bound


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_without_stride_maps_keep_their_size(size):
    network = convolutional((7, 8, 2), [ConvBlock(3, size)], 2, key=jr.key(0))
    assert network.layers["hidden"].shape == (7, 8, 3)


def test_tokens_are_clamped_as_a_whole():
    layers = {"tokens": Layer((4, 3), AlongAxis(LayerNorm(), -1))}
    query, key = (jr.normal(jr.key(i), (2, 3, 2)) for i in (0, 1))
    model, state = HAM(layers, [Attention("tokens", query, key)]), jr.normal(jr.key(2), (4, 3))
    rows = jnp.array([True, False, True, False])[:, None] & jnp.ones((4, 3), bool)
    result = relax(model, {"tokens": PartialClamp(state, rows)})
    alone = LayerNorm().activation(state[0])
    assert close(result.activation["tokens"][0], alone, 1e-6)
    divided = PartialClamp(state, rows.at[1, 0].set(True))
    with pytest.raises(ValueError, match="divides neurons which belong together"):
        relax(model, {"tokens": divided})
    with pytest.raises(Exception, match="divides neurons which belong together"):
        jax.jit(lambda mask: relax(model, {"tokens": PartialClamp(state, mask)}).energy)(divided.mask)


def test_an_overflow_is_not_convergence():
    """A scale that is infinite would make any residual small enough."""
    assert relax(pooled(None, ReLU(), 2, 30.0), WHOLE).status == hopfax.Status.unbounded
    assert relax(pooled(None, ReLU(), 2, 1e200), WHOLE).status == hopfax.Status.nonfinite
