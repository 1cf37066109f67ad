"""All gradients agree with each other, with a dense reference and with finite differences.

The network has a softmax layer, trained Lagrangian parameters and a neuron so saturated that `D = ∂g/∂s` is singular to
working precision. Gradients are taken with respect to all weights, biases, Lagrangian parameters and the clamped input.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import ZOO, close, costs_with_stats, double, scalar, scaled, slow_except

from hopfax import EvenOdd, Layer, Method, Synchronous, connect, objective, relax
from hopfax.costs import SquaredError
from hopfax.gradients import (
    AdjointStats,
    ConjugateGradient,
    EquilibriumPropagation,
    Implicit,
    Iterated,
    Krylov,
    Phantom,
    RecurrentBackprop,
    Unrolled,
)
from hopfax.lagrangians import Identity, Sigmoid, Softmax, Tanh
from hopfax.solvers import Anderson, Picard
from hopfax.updates import Coloured, Damped

parameter = lambda value: jnp.asarray(value, jnp.float64)
COST, TARGET = SquaredError(), jnp.array([1.0, -0.5])
X = jnp.array([0.4, -0.3, 0.8])
TIGHT = {"rtol": 1e-12, "atol": 1e-14, "max_steps": 500}
EXACT = ConjugateGradient(rtol=1e-12)


def rich():
    layers = {
        "input": Layer(3, Identity()),
        "hidden": Layer(4, Softmax(parameter(2.0))),
        "middle": Layer(3, Sigmoid(parameter(3.0), parameter(0.4))),
        "output": Layer(2, Tanh(parameter(0.9))),
    }
    pairs = [("input", "hidden"), ("hidden", "middle"), ("middle", "output"), ("input", "output")]
    model = scaled(double(connect(layers, pairs, key=jr.key(8), bias_std=0.3)), 1.3)
    return eqx.tree_at(
        lambda m: m.synapses["middle"].bias, model, model.synapses["middle"].bias.at[0].set(20.0)
    )


MODEL = rich()


def value(model, x, method, stats=None):
    stats = AdjointStats.blank() if stats is None else stats
    return costs_with_stats(model, {"input": x}, COST, TARGET, method, stats)


@eqx.filter_jit
def gradient(method, model=MODEL, x=X):
    gradients = eqx.filter_grad(lambda both: value(*both, method))((model, x))
    return ravel_pytree(eqx.filter(gradients, eqx.is_inexact_array))[0]


@pytest.fixture(scope="module")
def dense():
    """`dC/dθ = ∂C/∂θ + ∂C/∂s (I - (1 - damping) J)⁻¹ ∂F/∂θ` with the dense Jacobian of the synchronous map."""
    free = relax(MODEL, {"input": X}, method=Method(**TIGHT)).state
    z, unravel = ravel_pytree({n: free[n] for n in MODEL.order[1:]})
    leaves, rest = eqx.partition((MODEL, X), eqx.is_inexact_array)
    whole = lambda z, both: {**unravel(z), "input": both[1]}

    def drive(z, leaves):
        both = eqx.combine(leaves, rest)
        return ravel_pytree(both[0].drive(both[0].activations(whole(z, both)), MODEL.order[1:]))[0]

    def cost(z, leaves):
        both = eqx.combine(leaves, rest)
        states = whole(z, both)
        return COST(states, both[0].activations(states), TARGET)

    @jax.jit
    def total(damping):
        matrix = jnp.eye(z.size) - (1 - damping) * jax.jacobian(drive)(z, leaves).T
        u = jnp.linalg.solve(matrix, jax.grad(cost)(z, leaves))
        direct, through = jax.grad(cost, 1)(z, leaves), jax.vjp(lambda p: drive(z, p), leaves)[1](u)[0]
        return ravel_pytree(direct)[0] + ravel_pytree(through)[0]

    assert close(drive(z, leaves), z, 1e-10)
    return total


@pytest.fixture(scope="module")
def reference(dense):
    return dense(0.0)


METHODS = {
    "conjugate gradients": Method(EvenOdd(), Anderson(), Implicit(EXACT), **TIGHT),
    "synchronous": Method(Synchronous(), Picard(), Implicit(EXACT), **TIGHT),
    "damped": Method(Damped(EvenOdd(), 0.7), Picard(0.1), Implicit(EXACT), **TIGHT),
    "krylov": Method(EvenOdd(), Anderson(), Implicit(Krylov()), **TIGHT),
    "iterated": Method(EvenOdd(), Anderson(), Implicit(Iterated(rtol=1e-11)), **TIGHT),
    "recurrent": Method(EvenOdd(), Anderson(), RecurrentBackprop(500, 1e-13), **TIGHT),
    "phantom": Method(EvenOdd(), Anderson(), Phantom(150), **TIGHT),
    "phantom, damped": Method(Damped(Synchronous(), 0.8), Anderson(), Phantom(300, 0.1), **TIGHT),
    "unrolled picard": Method(EvenOdd(), Picard(), Unrolled(100), **TIGHT),
    "unrolled anderson": Method(EvenOdd(), Anderson(), Unrolled(40), **TIGHT),
    "equilibrium propagation": Method(EvenOdd(), Anderson(), EquilibriumPropagation(1e-3), **TIGHT),
}
QUICK = ("conjugate gradients", "damped", "krylov", "phantom, damped", "equilibrium propagation")
LOOSE = {"krylov": 1e-4, "equilibrium propagation": 1e-4, "unrolled anderson": 1e-5}


@pytest.mark.parametrize("name", slow_except(METHODS, QUICK))
def test_every_gradient_is_that_of_the_dense_reference(name, reference):
    error = np.abs(gradient(METHODS[name]) - reference).max() / np.abs(reference).max()
    assert error < LOOSE.get(name, 1e-8)


@pytest.mark.parametrize("damping", [0.05, 0.3])
def test_the_damped_gradient_is_that_of_the_dense_reference(dense, damping):
    method = Method(Synchronous(), Picard(), Implicit(ConjugateGradient(1e-12, damping=damping)), **TIGHT)
    assert close(gradient(method), dense(damping), 1e-8)


def test_the_reference_is_the_directional_finite_difference(reference):
    leaves, rest = eqx.partition((MODEL, X), eqx.is_inexact_array)
    vector, unravel = ravel_pytree(leaves)
    h = 1e-5
    at = jax.jit(
        jax.vmap(lambda vector: value(*eqx.combine(unravel(vector), rest), METHODS["conjugate gradients"]))
    )
    directions = jr.normal(jr.key(3), (3, vector.size), jnp.float64)
    slopes = (at(vector[None] + h * directions) - at(vector[None] - h * directions)) / (2 * h)
    assert close(slopes, directions @ reference, 1e-7)


def test_on_a_graph_that_is_not_bipartite_gradients_agree_with_the_unrolled_one():
    model, clamp = ZOO["triangle"]

    def gradient_of(method):
        cost = SquaredError("c")
        loss = lambda m: objective(m, clamp, cost, jnp.ones(3), method=method)[0]
        return ravel_pytree(eqx.filter(eqx.filter_grad(loss)(model), eqx.is_inexact_array))[0]

    methods = (
        Method(Coloured(), Anderson(), Implicit(EXACT), **TIGHT),
        Method(Coloured(), Picard(), Unrolled(120), **TIGHT),
        Method(Coloured(), Picard(), RecurrentBackprop(200), **TIGHT),
    )
    implicit, unrolled, recurrent = jax.jit(lambda: [gradient_of(method) for method in methods])()
    assert close(implicit, unrolled, 1e-8)
    assert close(recurrent, unrolled, 1e-8)


@pytest.mark.parametrize("steps", [2, Anderson().delay, Anderson().delay + 2])
def test_as_many_steps_are_unrolled_as_asked_for(steps):
    """Also with a solver whose first steps are plain ones."""
    model, clamp = ZOO["triangle"]
    few = relax(model, clamp, method=Method(gradient=Unrolled(steps), rtol=1e-15, atol=0.0))
    stopped = relax(model, clamp, method=Method(rtol=1e-15, atol=0.0, max_steps=steps - 1))
    assert few.statistics.evaluations == stopped.statistics.evaluations == steps
    assert close(few.state["c"], stopped.state["c"])


@pytest.mark.parametrize("make", [RecurrentBackprop, Phantom], ids=["recurrent", "phantom"])
def test_truncated_gradients_are_geometric_sums(make):
    """Of a scalar: `Σ_{k<n} qᵏ = (1 - qⁿ) / (1 - q)` for `q = f'`, so the error falls by `q` a step."""
    model, counts = scalar(), (1, 2, 4, 8)

    @eqx.filter_jit
    def slopes(bias):
        def read(bias, steps):
            moved = eqx.tree_at(lambda m: m.synapses["b"].bias, model, bias)
            equilibrium = relax(
                moved,
                method=Method(update=EvenOdd(), gradient=make(steps), **TIGHT),
                start={"b": jax.lax.stop_gradient(bias)},
            )
            return equilibrium.state["b"][0]

        return [jax.grad(read)(bias, n)[0] for n in counts], relax(model, method=Method(**TIGHT)).state

    values, state = slopes(model.synapses["b"].bias)
    q = float(0.64 * (1 - np.tanh(state["a"][0]) ** 2) * (1 - np.tanh(state["b"][0]) ** 2))
    assert close(values, [(1 - q**n) / (1 - q) for n in counts], 1e-9)


@eqx.filter_jit
def gradient_and_stats(method, model, x, stats):
    loss = lambda m, r: jnp.sum(value(m, x, method, r))
    gradients = eqx.filter_grad(lambda both: loss(*both))((model, stats))
    return ravel_pytree(eqx.filter(gradients[0], eqx.is_inexact_array))[0], gradients[1]


def test_the_statistics_are_those_of_the_backward_solve(reference):
    value, stats = gradient_and_stats(METHODS["conjugate gradients"], MODEL, X, AdjointStats.blank())
    assert 2 <= stats.products <= 12
    assert stats.residual < 1e-11
    assert stats.flagged == 0


@pytest.mark.parametrize("adjoint", [ConjugateGradient(max_products=1), Iterated(max_products=1)])
def test_a_backward_solve_that_is_cut_short_is_flagged_and_keeps_the_direction(adjoint, reference):
    """At worst it is the one-step gradient."""
    value, stats = gradient_and_stats(
        Method(EvenOdd(), Anderson(), Implicit(adjoint), **TIGHT), MODEL, X, AdjointStats.blank()
    )
    assert stats.flagged == 1
    reference = reference[: value.size]
    assert value @ reference > 0.5 * np.linalg.norm(value) * np.linalg.norm(reference)


def test_an_unattainable_tolerance_in_float32_gives_no_nan(reference):
    narrow = jax.tree.map(lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a, MODEL)
    method = Method(EvenOdd(), Anderson(), Implicit(ConjugateGradient(rtol=1e-30)), 1e-6, 0.0, 200)
    value, stats = gradient_and_stats(method, narrow, X.astype(jnp.float32), AdjointStats.blank())
    assert value.dtype == jnp.float32
    assert np.isfinite(stats.residual)
    reference = reference[: value.size]
    assert np.abs(value - reference).max() < 1e-3 * np.abs(reference).max()


def test_a_batch_is_a_vmap():
    xs = jnp.stack([X, -X, 0.3 * X])
    inside = relax(MODEL, {"input": xs}, method=Method(**TIGHT))
    outside = jax.jit(jax.vmap(lambda x: relax(MODEL, {"input": x}, method=Method(**TIGHT))))(xs)
    assert close(inside.state, outside.state)
    assert close(inside.energy, outside.energy)


def test_a_batch_of_gradients_is_the_sum_of_the_examples():
    """With statistics for each; gradients of weights are summed, those of inputs are not."""
    xs, target, method = jnp.stack([X, -X]), jnp.stack([TARGET, TARGET]), METHODS["conjugate gradients"]

    @eqx.filter_jit
    def batch(model, xs, stats):
        loss = lambda m, x, r: jnp.sum(costs_with_stats(m, {"input": x}, COST, target, method, r))
        gradients = eqx.filter_grad(lambda three: loss(*three))((model, xs, stats))
        return ravel_pytree(eqx.filter(gradients[0], eqx.is_inexact_array))[0], gradients[1], gradients[2]

    weights, inputs, stats = batch(MODEL, xs, AdjointStats.blank(2))
    alone = np.stack([gradient(method, MODEL, x) for x in xs])
    assert close(weights, alone[:, :-3].sum(0), 1e-9)
    assert close(inputs, alone[:, -3:], 1e-9)
    assert stats.products.shape == (2,)
    assert (np.asarray(stats.products) >= 2).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecurrentBackprop(0), "steps=0.* whole number, at least 1"),
        (lambda: Phantom(0), "steps=0.* whole number, at least 1"),
        (lambda: Phantom(1, 1.0), r"must be in \[0, 1\)"),
        (lambda: Unrolled(0), "steps=0.* whole number, at least 1"),
        (lambda: EquilibriumPropagation(0.0), r"must be a number in \(0, 1\)"),
        (lambda: EquilibriumPropagation(1.0), r"must be a number in \(0, 1\)"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
