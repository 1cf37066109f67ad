"""Equilibrium propagation: its order in beta, its exact meaning at finite beta, and its variants."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import close, costs_with_stats, double, scaled, variants_with_order

from hopfax import Method, chain, objective, relax
from hopfax.costs import CrossEntropy, SquaredError, StateSquaredError
from hopfax.gradients import (
    Centred,
    ConjugateGradient,
    ContrastiveLearning,
    CoupledLearning,
    EquilibriumPropagation,
    Holomorphic,
    Implicit,
    Negative,
    Positive,
    RandomSign,
)
from hopfax.gradients.base import AdjointStats
from hopfax.lagrangians import Identity, ReLU, Sigmoid, Tanh
from hopfax.solvers import Picard

X, TARGET = jnp.array([0.4, -0.3]), jnp.array([0.9, 0.1])
SQUARED = SquaredError()
TIGHT = {"rtol": 1e-13, "atol": 1e-14, "max_steps": 500}


def network(*lagrangians):
    return scaled(double(chain([2, 3, 2], list(lagrangians), key=jr.key(4), bias_std=0.5)), 0.7)


MODEL = network(Identity(), Tanh(), Sigmoid.paper())
LINEAR_OUT = network(Identity(), Tanh(), Identity())


@eqx.filter_jit
def gradient(gradient, model=MODEL, cost=SQUARED):
    loss = lambda both: objective(
        both[0], {"input": both[1]}, cost, TARGET, method=Method(gradient=gradient, **TIGHT)
    )[0]
    return ravel_pytree(eqx.filter(eqx.filter_grad(loss)((model, X)), eqx.is_inexact_array))[0]


@pytest.fixture(scope="module")
def exact():
    return gradient(Implicit(ConjugateGradient(rtol=1e-12)))


def ep(beta, variant):
    """With beta an array, so that one compilation serves every value."""
    return gradient(EquilibriumPropagation(jnp.asarray(beta), variant))


def test_the_default_is_within_a_hundredth_of_the_exact_gradient(exact):
    assert np.linalg.norm(gradient(EquilibriumPropagation()) - exact) < 0.01 * np.linalg.norm(exact)


def test_nudged_phases_converge_with_an_absolute_tolerance_alone():
    """It is scaled by the nudge, as the difference of the phases is."""
    method = Method(gradient=EquilibriumPropagation(), rtol=0.0, atol=1e-6, max_steps=200)

    @eqx.filter_jit
    def flagged(stats):
        loss = lambda stats: costs_with_stats(MODEL, {"input": X}, SQUARED, TARGET, method, stats)
        return jax.grad(loss)(stats).flagged

    assert flagged(AdjointStats.blank()) == 0


@variants_with_order
def test_the_error_falls_with_its_order_in_beta(variant, order, exact):
    coarse, fine = (np.linalg.norm(ep(beta, variant) - exact) for beta in (0.1, 0.05))
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.25)


def test_at_finite_beta_it_is_the_exact_gradient_of_the_difference_of_free_energies():
    """`[F*(β) - F*(-β)] / 2β` at β = 0.3, by central differences along a random direction."""
    beta, h = 0.3, 1e-5
    leaves, rest = eqx.partition((MODEL, X), eqx.is_inexact_array)
    vector, unravel = ravel_pytree(leaves)

    @jax.jit
    def contrast(vector):
        model, x = eqx.combine(unravel(vector), rest)
        free = model.condition({"input": x})
        phases = [
            relax(free + b * SquaredError().with_target(TARGET), method=Method(**TIGHT)).energy
            for b in (beta, -beta)
        ]
        return (phases[0] - phases[1]) / (2 * beta)

    direction = jr.normal(jr.key(6), vector.shape, jnp.float64)
    slope = (contrast(vector + h * direction) - contrast(vector - h * direction)) / (2 * h)
    assert close(slope, ep(beta, Centred()) @ direction, 1e-7)


@pytest.mark.slow
def test_positive_and_negative_average_to_centred_and_a_random_sign_gives_each_of_them():
    positive, negative = ep(0.2, Positive()), ep(0.2, Negative())
    assert close((positive + negative) / 2, ep(0.2, Centred()), 1e-9)
    estimates = np.asarray(jax.jit(jax.vmap(lambda key: ep(0.2, RandomSign(key))))(jr.split(jr.key(0), 8)))
    kinds = [close(one, positive, 1e-7) - close(one, negative, 1e-7) for one in estimates]
    assert set(kinds) == {1, -1}


def test_a_random_sign_does_not_need_holomorphic_neurons():
    model = network(Identity(), ReLU(), Tanh())
    variant = RandomSign(jr.key(0))
    assert not variant.holomorphic
    assert np.isfinite(gradient(EquilibriumPropagation(0.2, variant), model, SquaredError())).all()


@pytest.mark.parametrize("cost", [SquaredError(), CrossEntropy()], ids=lambda c: type(c).__name__)
def test_both_costs_agree_with_implicit_gradients_at_a_linear_output(cost):
    implicit = gradient(Implicit(ConjugateGradient(rtol=1e-12)), LINEAR_OUT, cost)
    small = gradient(EquilibriumPropagation(jnp.asarray(1e-3), Centred()), LINEAR_OUT, cost)
    assert close(small, implicit, 1e-5)


def test_holomorphic_refuses_neurons_that_are_not_holomorphic_and_trained_ones():
    with pytest.raises(ValueError, match="needs holomorphic neurons, but 'ReLU' of layer 'hidden' is not"):
        gradient(EquilibriumPropagation(0.1, Holomorphic()), network(Identity(), ReLU(), Tanh()))
    trained = network(Identity(), Tanh(jnp.asarray(1.0)), Tanh())
    with pytest.raises(ValueError, match="cannot train the parameters of 'Tanh' on layer 'hidden'"):
        gradient(EquilibriumPropagation(0.1, Holomorphic()), trained)
    with pytest.raises(ValueError, match="count=1.* at least 2"):
        Holomorphic(1)


def test_costs_that_cannot_nudge_are_refused():
    with pytest.raises(ValueError, match="cannot nudge an activation"):
        gradient(EquilibriumPropagation(0.1), MODEL, StateSquaredError())
    with pytest.raises(ValueError, match="layer 'input', which is not free"):
        gradient(EquilibriumPropagation(0.1), MODEL, SquaredError("input"))


@pytest.mark.parametrize(
    ("variant", "evaluations"), [(Centred(), 10), (Positive(), 5), (Holomorphic(4), 15)], ids=str
)
def test_the_evaluations_of_all_nudged_phases_are_reported(variant, evaluations):
    """None reaches a tolerance of zero, so each takes all its four steps, which are five evaluations.

    Without a nudge the deviation is zero, and nothing is solved.
    """
    method = Method(gradient=EquilibriumPropagation(0.05, variant), rtol=0.0, atol=0.0, max_steps=4)

    @eqx.filter_jit
    def backward_stats(stats):
        loss = lambda stats: costs_with_stats(MODEL, {"input": X}, SQUARED, TARGET, method, stats)
        return jax.grad(loss)(stats)

    stats = backward_stats(AdjointStats.blank())
    assert (stats.products, stats.flagged) == (evaluations, 1)
    assert stats.residual > 0


@pytest.mark.slow
def test_the_tolerance_of_nudged_phases_is_small_relative_to_their_deviations():
    """`1e-3 beta atol`, whatever the tolerance of the free phase; deviations are of order `beta`."""
    beta = 0.05

    @eqx.filter_jit
    def residual(atol):
        method = Method(gradient=EquilibriumPropagation(beta), rtol=0.0, atol=atol, max_steps=200)
        loss = lambda stats: costs_with_stats(MODEL, {"input": X}, SQUARED, TARGET, method, stats)
        return jax.grad(loss)(AdjointStats.blank()).residual

    free = MODEL.condition({"input": X})
    at = lambda beta: relax(free + beta * SQUARED.with_target(TARGET), method=Method(rtol=1e-9)).state
    deviations = jax.tree.map(lambda a, b: np.sqrt(np.mean(np.square(a - b))), at(beta), at(0.0))
    for atol in (1e-2, 1e-4):
        assert 0 < residual(jnp.asarray(atol)) <= 5e-3 * beta * atol / min(deviations.values())


@pytest.mark.parametrize(
    ("variant", "degree"),
    [(Centred(), 2), (Positive(), 1), (Negative(), 1), (RandomSign(jr.key(0)), 1), (RandomSign(jr.key(3)), 1)]
    + [(Holomorphic(n), n) for n in (2, 3, 4, 5)],
    ids=str,
)
def test_each_variant_is_a_finite_difference_exact_for_polynomials(variant, degree):
    betas, weights = map(np.asarray, variant.nudges(0.3))
    for power in range(degree + 1):
        assert close(np.real(np.sum(weights * betas**power)), float(power == 1), 1e-6)
    higher = np.real(np.sum(weights * betas ** (degree + 1)))
    assert abs(higher) > 1e-3


@pytest.mark.parametrize(
    "gradient",
    [
        EquilibriumPropagation(0.05, Positive()),
        pytest.param(EquilibriumPropagation(0.05, Negative()), marks=pytest.mark.slow),
        CoupledLearning(0.1, Positive()),
        pytest.param(ContrastiveLearning(), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_residual_of_the_free_equilibrium_does_not_pass_for_the_effect_of_the_nudge(gradient):
    def estimate(rtol):
        method = Method(solver=Picard(), gradient=gradient, rtol=rtol, max_steps=500)
        cost = lambda m: objective(m, {"input": X}, SQUARED, TARGET, method=method)[0]
        return jax.tree.leaves(eqx.filter_grad(cost)(model))

    model = scaled(double(chain([2, 5, 5, 2], [Identity(), Tanh(), Tanh(), Identity()], key=jr.key(4))), 1.3)
    for loose, tight in zip(estimate(3e-3), estimate(1e-10), strict=True):
        np.testing.assert_allclose(loose, tight, atol=0.03 * np.max(np.abs(tight)))
