"""Contrastive and coupled learning: what they converge to, and that they are not the gradient of the cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import close, costs_with_stats, double, scaled

from hopfax import Layer, Method, chain, objective, relax
from hopfax.costs import SquaredError
from hopfax.gradients import (
    AdjointStats,
    Centred,
    ContrastiveLearning,
    CoupledLearning,
    EquilibriumPropagation,
    Implicit,
    Negative,
    Positive,
    RandomSign,
)
from hopfax.lagrangians import Identity, Linear, Sigmoid, Tanh
from hopfax.solvers import Picard

X, TARGET = jnp.array([0.4, -0.3]), jnp.array([0.9, 0.1])
TIGHT = {"solver": Picard(), "rtol": 1e-13, "atol": 1e-14, "max_steps": 500}


def network(hidden, outputs=2):
    return scaled(
        double(chain([2, 3, outputs], [Identity(), hidden, Identity()], key=jr.key(4), bias_std=0.5)), 0.7
    )


MODEL, LINEAR = network(Tanh()), network(Identity())


@eqx.filter_jit
def gradient(rule, model=MODEL, target=TARGET, **settings):
    """Of model and clamp, as one vector."""
    method = Method(gradient=rule, **{**TIGHT, **settings})
    loss = lambda both: objective(both[0], {"input": both[1]}, SquaredError(), target, method=method)[0]
    return ravel_pytree(eqx.filter(eqx.filter_grad(loss)((model, X)), eqx.is_inexact_array))[0]


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def error_of(model, x):
    """The output minus the target, and the second derivative `K` of the energy in the output, of the linear network.

    `E = ½|h|² + ½|o|² - h·(W₁ᵀx + b) - o·c - hᵀ W₂ o` is least at `h = W₁ᵀx + b + W₂ o`, where its second derivative in
    `o` is `I - W₂ᵀ W₂`.
    """
    first, second = model.synapses["input-hidden"].weight, model.synapses["hidden-output"].weight
    stiffness = jnp.eye(2) - second.T @ second
    drive = second.T @ (first.T @ x + model.synapses["hidden"].bias) + model.synapses["output"].bias
    return jnp.linalg.solve(stiffness, drive) - TARGET, stiffness


def weighted_error(fixed):
    """`½ eᵀ K e` of the linear network, with `K` held fixed or not."""

    def value(both):
        error, stiffness = error_of(*both)
        stiffness = jax.lax.stop_gradient(stiffness) if fixed else stiffness
        return 0.5 * error @ stiffness @ error

    return ravel_pytree(eqx.filter(jax.grad(value)((LINEAR, X)), eqx.is_inexact_array))[0]


def test_coupled_learning_of_a_linear_network_is_the_gradient_of_a_weighted_error():
    """For every nudge by differences to both sides, and in the limit by one-sided ones."""
    expected = weighted_error(fixed=True)
    assert close(gradient(CoupledLearning(0.4), LINEAR), expected, 1e-9)
    for variant in (Positive(), Negative()):
        error = lambda beta, v: np.linalg.norm(
            gradient(CoupledLearning(jnp.asarray(beta), v), LINEAR) - expected
        )
        assert np.log2(error(0.02, variant) / error(0.01, variant)) == pytest.approx(1, abs=0.05)


def test_a_loose_tolerance_resolves_a_small_beta():
    """The two phases differ by about `β`, so they are solved to a tolerance that falls with it."""
    expected = weighted_error(fixed=True)
    estimate = gradient(CoupledLearning(1e-4), LINEAR, rtol=1e-3)
    assert np.linalg.norm(estimate - expected) < 1e-2 * np.linalg.norm(expected)


def test_contrastive_learning_of_a_linear_network_is_the_gradient_of_that_error_with_its_weights():
    assert close(gradient(ContrastiveLearning(), LINEAR), weighted_error(fixed=False), 1e-9)


@pytest.mark.parametrize("rule", [CoupledLearning(0.4, Positive()), ContrastiveLearning()])
def test_an_output_with_a_gain_is_one_without_whose_weights_and_target_are_scaled(rule):
    """`g = a s` has the energy `|g|² / 2a`: `g / √a` is a linear layer without a gain, with `√a` times the weights."""
    root = np.sqrt(0.6)
    times = lambda model, factor: eqx.tree_at(
        lambda m: (m.synapses["hidden-output"].weight, m.synapses["output"].bias),
        model,
        replace_fn=lambda x: factor * x,
    )
    layers = {**MODEL.layers, "output": Layer(2, Linear(0.6))}
    with_gain = eqx.tree_at(lambda m: m.layers, MODEL, layers)
    expected = gradient(rule, times(MODEL, root), TARGET / root)
    scales = jax.tree.map(jnp.ones_like, eqx.filter((MODEL, X), eqx.is_inexact_array))
    scales = ravel_pytree((times(scales[0], root), scales[1]))[0]
    assert close(gradient(rule, with_gain), scales * expected, 1e-9)


@pytest.mark.slow
def test_coupled_learning_has_the_direction_of_equilibrium_propagation_with_one_output_only():
    nudged = EquilibriumPropagation(1e-4)
    one, target = network(Sigmoid(), outputs=1), jnp.array([0.9])
    assert 1 - cosine(gradient(CoupledLearning(1e-3), one, target), gradient(nudged, one, target)) < 1e-6
    several = cosine(gradient(CoupledLearning(1e-3)), gradient(nudged))
    assert 0.5 < several < 1 - 1e-4


def test_with_weak_coupling_all_rules_have_nearly_the_direction_of_the_gradient():
    weak = scaled(MODEL, 0.1)
    for rule in (CoupledLearning(), CoupledLearning(0.1, Positive()), ContrastiveLearning()):
        assert cosine(gradient(rule, weak), gradient(Implicit(), weak)) > 0.99


def test_contrastive_learning_is_the_gradient_of_the_energy_of_the_clamped_minus_the_free_output():
    leaves, rest = eqx.partition((MODEL, X), eqx.is_inexact_array)
    vector, unravel = ravel_pytree(leaves)

    @jax.jit
    def contrast(t):
        model, x = eqx.combine(unravel(vector + t * direction), rest)
        energy = lambda clamp: relax(model, clamp, method=Method(**TIGHT)).energy
        return energy({"input": x, "output": TARGET}) - energy({"input": x})

    direction = jr.normal(jr.key(6), vector.shape, jnp.float64)
    slope = (contrast(1e-5) - contrast(-1e-5)) / 2e-5
    assert close(slope, gradient(ContrastiveLearning()) @ direction, 1e-7)


@pytest.mark.slow
def test_variants_average_and_nearly_full_coupling_is_contrastive():
    positive, negative = (gradient(CoupledLearning(0.2, v)) for v in (Positive(), Negative()))
    assert close((positive + negative) / 2, gradient(CoupledLearning(0.2)), 1e-9)
    drawn = gradient(CoupledLearning(0.2, RandomSign(jr.key(0))))
    assert close(drawn, positive, 1e-9) != close(drawn, negative, 1e-9)
    full = gradient(CoupledLearning(1 - 1e-7, Positive()))
    assert close(full, gradient(ContrastiveLearning()), 1e-5)


def test_at_the_target_all_rules_are_zero():
    target = relax(MODEL, {"input": X}, method=Method(**TIGHT)).activation["output"]
    for rule in (CoupledLearning(), ContrastiveLearning()):
        assert np.max(np.abs(gradient(rule, MODEL, target))) < 1e-10


def test_the_second_phase_is_reported():
    method = Method(gradient=CoupledLearning(0.1, Centred()), **TIGHT)
    loss = lambda stats: costs_with_stats(MODEL, {"input": X}, SquaredError(), TARGET, method, stats)
    stats = jax.jit(jax.grad(loss))(AdjointStats.blank())
    assert stats.flagged == 0
    assert stats.products >= 2


@pytest.mark.parametrize(
    "rule",
    [CoupledLearning(), CoupledLearning(jnp.float32(0.1), Positive()), ContrastiveLearning()],
    ids=["centred", "positive", "contrastive"],
)
def test_dtypes_are_kept_under_strict_promotion(rule):
    single = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_array(x) else x, MODEL)
    x, target, method = X.astype(jnp.float32), TARGET.astype(jnp.float32), Method(gradient=rule)
    with jax.numpy_dtype_promotion("strict"):
        cost = lambda m: objective(m, {"input": x}, SquaredError(), target, method=method)[0]
        shapes = eqx.filter_eval_shape(eqx.filter_grad(cost), single)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
