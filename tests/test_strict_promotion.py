"""Relaxing and differentiating a float32 network work under strict promotion of dtypes, where x64 is enabled too.

Promotion is a matter of tracing: where dtypes alone are compared, nothing is compiled.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import CHN, Method, chain, objective, relax
from hopfax.costs import BinaryCrossEntropy, CrossEntropy, SquaredError, StateSquaredError
from hopfax.gradients import (
    Centred,
    EquilibriumPropagation,
    Holomorphic,
    Implicit,
    Iterated,
    Krylov,
    Negative,
    Phantom,
    Positive,
    RandomSign,
    RecurrentBackprop,
    Unrolled,
)
from hopfax.lagrangians import (
    Entmax,
    HardSigmoid,
    Identity,
    KSubsets,
    LayerNorm,
    MixtureOfFactors,
    Normmax,
    ReLU,
    Sigmoid,
    Softmax,
    Softmax1,
    Sparsemax,
    SphericalNorm,
    Tanh,
)
from hopfax.papers import paper_method
from hopfax.solvers import Anderson, Broyden, GradientFlow, Newton, Picard, newton
from hopfax.updates import Coloured, Damped, LocalSteps, Synchronous

MODEL = chain([4, 5, 3], [Identity(), Tanh(), Identity()], key=jr.key(0), bias_std=0.3)
IMAGES, TARGETS = jr.uniform(jr.key(1), (6, 4), jnp.float32), jnp.eye(3)[jnp.arange(6) % 3]


@pytest.fixture(autouse=True)
def _strict():
    with jax.numpy_dtype_promotion("strict"):
        yield


def dtypes(tree) -> set[str]:
    return {x.dtype.name for x in jax.tree.leaves(tree)}


SOLVERS = [
    Picard(),
    Picard(0.3),
    Anderson(),
    Broyden(),
    newton(),
    Newton(1e-6, 1e-6),
    GradientFlow(),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_every_solver(solver):
    start = relax(MODEL, {"input": IMAGES}, method=Method(rtol=0.05)).state
    equilibrium = relax(MODEL, {"input": IMAGES}, start=start, method=Method(solver=solver), trace=3)
    assert equilibrium.converged.all()
    assert dtypes((equilibrium.state, equilibrium.energy)) == {"float32"}


@pytest.mark.parametrize(
    "update", [Coloured(), Damped(Synchronous()), LocalSteps()], ids=lambda u: type(u).__name__
)
def test_updates_of_a_chn(update):
    model = CHN.like(chain([4, 5, 3], key=jr.key(0)))
    equilibrium = relax(
        model, {"input": IMAGES}, method=Method(update=update, solver=Picard(), max_steps=1000)
    )
    assert equilibrium.converged.all()
    ham = relax(model.to_ham(), model.ham_states({"input": IMAGES}))
    assert dtypes((equilibrium.state, ham.state)) == {"float32"}


@pytest.mark.parametrize("name", ["HAM-DEQ", "CHN-EO"])
def test_the_methods_of_the_papers(name):
    model = chain([4, 5, 3], key=jr.key(0))
    model = CHN.like(model) if name.startswith("CHN") else model
    value = lambda m: objective(
        m, {"input": IMAGES}, StateSquaredError(), TARGETS, method=paper_method(name)
    )[0].mean()
    assert dtypes(eqx.filter_eval_shape(eqx.filter_grad(value), model)) == {"float32"}


def test_a_float64_network():
    cast = lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x
    equilibrium = relax(jax.tree.map(cast, MODEL), {"input": cast(IMAGES)})
    assert equilibrium.converged.all()
    assert dtypes((equilibrium.state, equilibrium.energy)) == {"float64"}


LAGRANGIANS = [
    Sigmoid(jnp.float64(3.0)),
    ReLU(),
    HardSigmoid(),
    Softmax(2.0),
    LayerNorm(),
    SphericalNorm(),
    MixtureOfFactors(2.0),
    Softmax1(),
    Sparsemax(),
    Entmax(),
    Normmax(),
    KSubsets(),
    0.5 * Tanh(),
    Tanh() + 0.1 * Identity(),
]


@pytest.mark.parametrize("lagrangian", LAGRANGIANS, ids=lambda x: type(x).__name__)
def test_every_lagrangian(lagrangian):
    functions = (lagrangian, lagrangian.activation, lagrangian.energy, jax.grad(lagrangian.energy))
    state = IMAGES[0].reshape(2, -1) if isinstance(lagrangian, MixtureOfFactors) else IMAGES[0]
    assert dtypes([jax.eval_shape(function, state) for function in functions]) == {"float32"}


VARIANTS = [Centred(), Positive(), Negative(), RandomSign(jr.key(0)), Holomorphic()]
GRADIENTS = [
    Implicit(),
    Implicit(Krylov()),
    Implicit(Iterated()),
    RecurrentBackprop(8),
    Phantom(5, 0.1),
    Unrolled(20),
    *(EquilibriumPropagation(0.05, variant) for variant in VARIANTS),
    EquilibriumPropagation(jnp.float32(0.05)),
]


@pytest.mark.parametrize("gradient", GRADIENTS, ids=str)
def test_every_gradient(gradient):
    method = Method(gradient=gradient)
    value = lambda m, x: objective(m, {"input": x}, SquaredError(), TARGETS, method=method)[0].mean()
    gradients = eqx.filter_jit(eqx.filter_grad(lambda both: value(*both)))((MODEL, IMAGES))
    assert dtypes(gradients) == {"float32"}
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients))


@pytest.mark.parametrize(
    "cost",
    [CrossEntropy(), BinaryCrossEntropy(slope=2.0), 2.0 * SquaredError()],
    ids=lambda c: type(c).__name__,
)
@pytest.mark.parametrize("gradient", [Implicit(), EquilibriumPropagation()], ids=lambda g: type(g).__name__)
def test_every_cost(cost, gradient):
    method = Method(gradient=gradient)
    value = lambda m: objective(m, {"input": IMAGES}, cost, TARGETS, method=method)[0].mean()
    assert dtypes(eqx.filter_eval_shape(eqx.filter_grad(value), MODEL)) == {"float32"}
