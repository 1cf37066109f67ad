"""Equilibrium propagation as the backward pass of a block: the gradient by nudging with a cotangent."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import ZOO, close, double, scaled, single, slow_except, variants_with_order

from hopfax import Layer, Method, PartialClamp, chain, connect, objective, relax
from hopfax.costs import LinearCost
from hopfax.diagnostics import worst_array
from hopfax.gradients import (
    AdjointStats,
    Centred,
    ConjugateGradient,
    EquilibriumPropagation,
    Holomorphic,
    Implicit,
    Negative,
    Positive,
    RandomSign,
)
from hopfax.gradients.linear_nudge import LinearNudge
from hopfax.interop import EquilibriumLayer
from hopfax.lagrangians import Identity, ReLU, Sigmoid, Softmax, Tanh
from hopfax.networks import ConvBlock, convolutional
from hopfax.relax import make_solve
from hopfax.solvers import Anderson, Picard
from hopfax.updates import Coloured
from hopfax.updates.problem import Problem

TIGHT = {"solver": Picard(), "rtol": 1e-12, "atol": 1e-14, "max_steps": 500}
EXACT = Implicit(ConjugateGradient(rtol=1e-12))


def nudged(beta, variant=Centred()):
    """With `beta` an array, one compilation serves all values."""
    return EquilibriumPropagation(jnp.asarray(beta), variant)


FAST, SMALL = nudged(0.02), nudged(3e-4)


def network():
    """A softmax layer, trained Lagrangian parameters and a skip connection."""
    layers = {
        "input": Layer(3, Identity()),
        "hidden": Layer(4, Softmax(jnp.asarray(2.0))),
        "middle": Layer(3, Sigmoid(jnp.asarray(3.0), jnp.asarray(0.4))),
        "output": Layer(2, Tanh(jnp.asarray(0.9))),
    }
    pairs = [("input", "hidden"), ("hidden", "middle"), ("middle", "output"), ("input", "output")]
    return double(connect(layers, pairs, key=jr.key(8), bias_std=0.3))


MODEL = network()
X = jr.normal(jr.key(1), (5, 3), jnp.float64)
SMOOTH = scaled(double(chain([3, 4, 2], [Identity(), Tanh(), Tanh()], key=jr.key(2), bias_std=0.5)), 0.7)


def read_out(model, x, method):
    """A function of states, activations and energies that no cost knows."""
    e = relax(model, {"input": x}, method=method)
    last, middle = list(model.order)[-1], list(model.order)[1]
    return jnp.sum(e.activation[last] ** 3) + jnp.sum(jnp.sin(e.state[middle])) + 0.5 * jnp.sum(e.energy)


@eqx.filter_jit
def gradient(gradient, model=MODEL, x=X, function=read_out, weight=jnp.ones(())):
    """Of the weighted sum of what `function` gives for model and clamp, in both, as arrays."""
    method = Method(gradient=gradient, **TIGHT)
    gradients = eqx.filter_grad(lambda both: jnp.sum(weight * function(*both, method)))((model, x))
    return eqx.filter(gradients, eqx.is_inexact_array)


def distance(a, b):
    a, b = ravel_pytree(a)[0], ravel_pytree(b)[0]
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


@pytest.fixture(scope="module")
def exact():
    return gradient(EXACT)


@pytest.mark.slow
def test_each_array_agrees_with_the_implicit_gradient(exact):
    """In weights, biases, Lagrangian parameters and the clamp, through activations, states and the energy."""
    for one, other in zip(*map(jax.tree.leaves, (gradient(SMALL), exact)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * float(jnp.max(jnp.abs(other))) + 1e-9)


def test_it_is_the_slope_of_finite_differences():
    leaves, rest = eqx.partition((MODEL, X), eqx.is_inexact_array)
    vector, unravel = ravel_pytree(leaves)
    direction = jr.normal(jr.key(6), vector.shape, jnp.float64)
    value = jax.jit(lambda t: read_out(*eqx.combine(unravel(vector + t * direction), rest), Method(**TIGHT)))
    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    estimate = ravel_pytree(gradient(SMALL))[0] @ direction
    np.testing.assert_allclose(estimate, slope, rtol=1e-5)


@variants_with_order
def test_the_error_falls_with_the_order_of_the_variant(variant, order):
    reference = gradient(EXACT, SMOOTH)
    error = lambda beta: distance(gradient(nudged(beta, variant), SMOOTH), reference)
    assert np.log2(error(0.1) / error(0.05)) == pytest.approx(order, abs=0.3)


def test_a_random_sign_is_the_positive_or_the_negative_variant():
    estimates = [gradient(nudged(0.2, variant), SMOOTH) for variant in (Positive(), Negative())]
    drawn = gradient(nudged(0.2, RandomSign(jr.key(0))), SMOOTH)
    assert sum(close(drawn, one, 1e-9) for one in estimates) == 1


def test_its_limit_is_that_of_an_objective_with_a_linear_cost():
    slope = jnp.array([0.6, -0.8])
    method = lambda beta: Method(gradient=EquilibriumPropagation(beta), **TIGHT)
    block = lambda m, x: slope @ relax(m, {"input": x}, method=method(1e-3)).activation["output"]
    cost = lambda m, x: objective(m, {"input": x}, LinearCost(), slope, method=method(1e-3))[0]
    one, other = (jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(SMOOTH, X[0]) for f in (block, cost))
    assert close(one, other, 1e-6)


def test_a_linear_network_has_no_error_at_any_nudge():
    model = scaled(double(chain([3, 4, 2], Identity(), key=jr.key(2), bias_std=0.5)), 0.45)
    for variant in (Centred(), Positive()):
        assert distance(gradient(nudged(0.5, variant), model), gradient(EXACT, model)) < 1e-9


def test_the_length_of_the_cotangent_does_not_matter(exact):
    large, small = (gradient(FAST, weight=jnp.asarray(factor)) for factor in (1e6, 1e-6))
    assert close(jax.tree.map(lambda g: g * 1e-12, large), small, 1e-12)
    assert distance(jax.tree.map(lambda g: g * 1e-6, large), exact) < 0.01


def test_a_cotangent_of_zero_has_a_gradient_of_exactly_zero_also_for_some_examples():
    output = lambda model, x, method: relax(model, {"input": x}, method=method).activation["output"]
    some = jnp.array([0.0, 0.0, 1.0, 1.0, 1.0])[:, None]
    clamp = gradient(FAST, MODEL, X, output, some)[1]
    np.testing.assert_array_equal(clamp[:2], 0)
    assert np.all(np.any(np.asarray(clamp[2:]) != 0, axis=1))
    nothing = gradient(FAST, MODEL, X, output, 0 * some)
    assert not any(np.any(x) for x in jax.tree.leaves(nothing))


def test_a_batch_and_vmap_have_the_same_gradient():
    def mapped(model, x, method):
        return jnp.sum(jax.vmap(lambda x: read_out(model, x, method))(x))

    assert close(gradient(FAST), gradient(FAST, MODEL, X, mapped), 1e-8)


def test_no_weight_matrix_is_formed_for_each_example():
    model = chain([60, 70, 5], Tanh(), key=jr.key(0))
    layer = EquilibriumLayer(model, method=Method(gradient=FAST, solver=Anderson()))
    loss = lambda layer, x: jnp.sum(jax.vmap(layer)(x) ** 2)
    weights, rest = eqx.partition(layer, eqx.is_inexact_array)
    differentiate = jax.grad(lambda weights, x: loss(eqx.combine(weights, rest), x))
    shapes = lambda jaxpr: (
        {v.aval.shape for eqn in jaxpr.eqns for v in eqn.outvars}
        | {
            shape
            for eqn in jaxpr.eqns
            for value in jax.tree.leaves(
                list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
            )
            if hasattr(value, "eqns") or hasattr(value, "jaxpr")
            for shape in shapes(getattr(value, "jaxpr", value))
        }
    )
    seen = shapes(jax.make_jaxpr(differentiate)(weights, jnp.zeros((7, 60), jnp.float32)).jaxpr)
    assert (60, 70) in seen
    assert not seen & {(7, 60, 70), (7, 70, 60), (7, 70, 5), (7, 5, 70)}


def test_partly_clamped_layers():
    model, x, mask = SMOOTH, X[0], jnp.array([True, False, True, False])

    def loss(model, x, method):
        clamp = {"input": x[:3], "hidden": PartialClamp(x[3:], mask)}
        equilibrium = relax(model, clamp, method=method)
        return jnp.sum(equilibrium.activation["output"] ** 2) + jnp.sum(equilibrium.activation["hidden"] ** 3)

    both = jnp.concatenate([x, jnp.array([0.3, 9.0, -0.5, 9.0])])
    estimate, reference = (gradient(g, model, both, loss) for g in (nudged(1e-3), EXACT))
    assert close(estimate, reference, 1e-5)
    np.testing.assert_array_equal(estimate[1][jnp.array([4, 6])], 0)


@pytest.mark.parametrize("name", slow_except(["triangle", "softmax", "layernorm"], ["softmax"]))
def test_networks_of_other_kinds(name):
    model, clamp = ZOO[name]
    estimate, reference = (gradient(g, model, clamp["input"]) for g in (nudged(1e-3), EXACT))
    assert distance(estimate, reference) < 1e-5


@pytest.mark.slow
def test_second_derivatives_in_reverse_mode_are_those_of_the_implicit_gradient():
    def product(gradient):
        method = Method(gradient=gradient, **TIGHT)
        slope = lambda m, x: jax.grad(lambda m: read_out(m, x, method))(m)
        along = lambda m, x: sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(slope(m, x)))
        return jax.jit(jax.grad(along, argnums=(0, 1)))(SMOOTH, X[:2])

    assert close(product(EquilibriumPropagation(1e-3)), product(EXACT), 1e-4)


def test_forward_mode_is_refused():
    output = lambda x: relax(SMOOTH, {"input": x}, method=Method(gradient=FAST)).activation["output"]
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(output, (X[0],), (X[0],))


def test_the_phases_are_reported_as_the_gradient_of_the_statistics():
    problem = Problem(SMOOTH.condition({"input": X[0]}), Coloured())
    solve = make_solve(problem, {}, Method(**TIGHT))
    unknowns, _ = solve(problem)

    def loss(stats):
        nudge = LinearNudge(problem, solve, unknowns, 0.05, Centred(), stats)
        return jnp.sum(nudge.point()[1]["output"])

    stats = jax.jit(jax.grad(loss))(AdjointStats.blank())
    assert stats.flagged == 0
    assert stats.products > 2
    assert 0 < stats.residual < 1e-6


def test_a_linear_cost_is_the_inner_product_and_its_nudge_a_constant_drive():
    free, target = SMOOTH.condition({"input": X[0]}), jnp.array([0.5, -2.0])
    states = {"hidden": jnp.ones(4), "output": jnp.array([0.3, 0.7])}
    nudged = free + 0.1 * LinearCost().with_target(target)
    cost = LinearCost()(states, free.activations(states), target)
    np.testing.assert_allclose(nudged.energy(states) - free.energy(states), 0.1 * cost, rtol=1e-12)
    drives = lambda model: model.drive(model.activations(states), ("output",))["output"]
    np.testing.assert_allclose(drives(nudged) - drives(free), -0.1 * target, rtol=1e-12)
    with pytest.raises(ValueError, match=r"`target` has shape \(3,\)"):
        free + LinearCost().with_target(jnp.ones(3))


@pytest.mark.parametrize("variant", [Centred(), Positive(), RandomSign(jr.key(0)), Holomorphic()], ids=str)
def test_dtypes_are_kept_under_strict_promotion(variant):
    method = Method(gradient=EquilibriumPropagation(0.05, variant))
    with jax.numpy_dtype_promotion("strict"):
        loss = lambda both: read_out(*both, method)
        shapes = eqx.filter_eval_shape(eqx.filter_grad(loss), (single(SMOOTH), X.astype(jnp.float32)))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


class Net(eqx.Module):
    """Parts in a row, of an Equinox network in float32."""

    parts: tuple

    def __call__(self, x):
        for part in self.parts:
            x = part(x)
        return x


def dense(lagrangian, method):
    model = scaled(chain([6, 12, 5], [Identity(), lagrangian, lagrangian], key=jr.key(0), bias_std=0.3), 0.5)
    block = EquilibriumLayer(model, method=method)
    return Net((eqx.nn.Linear(4, 6, key=jr.key(1)), block, eqx.nn.Linear(5, 3, key=jr.key(2))))


def maps(x):
    return x.reshape(4, 4, 2)


def convolution_block(key, method):
    neurons = [Identity(), Tanh(), Tanh(), Identity()]
    model = convolutional((4, 4, 2), [ConvBlock(4, 3), ConvBlock(2, 3)], 3, neurons, key=key, bias_std=0.3)
    return EquilibriumLayer(scaled(model, 0.5), read="hidden2", method=method)


def one_convolution(method):
    return Net((maps, convolution_block(jr.key(3), method), jnp.ravel, eqx.nn.Linear(32, 3, key=jr.key(2))))


def two_convolutions(method):
    first, second = (convolution_block(jr.key(key), method) for key in (3, 4))
    between = (jnp.ravel, eqx.nn.Linear(32, 32, key=jr.key(5)), maps)
    return Net((maps, first, *between, second, jnp.ravel, eqx.nn.Linear(32, 3, key=jr.key(2))))


def cross_entropy(net, x):
    logits = jax.nn.log_softmax(jax.vmap(net)(x))
    return -jnp.mean(logits[jnp.arange(len(x)), jnp.arange(len(x)) % 3])


@pytest.mark.parametrize(
    ("build", "inputs", "beta", "bar"),
    [
        (lambda m: dense(Tanh(), m), 4, 0.05, 0.9999),
        pytest.param(lambda m: dense(Sigmoid(), m), 4, 0.05, 0.9999, marks=pytest.mark.slow),
        pytest.param(lambda m: dense(ReLU(), m), 4, 0.001, 0.9999, marks=pytest.mark.slow),
        pytest.param(one_convolution, 32, 0.05, 0.9999, marks=pytest.mark.slow),
        pytest.param(two_convolutions, 32, 0.02, 0.999, marks=pytest.mark.slow),
    ],
    ids=["tanh", "sigmoid", "relu", "convolution", "two convolutions"],
)
def test_in_float32_the_worst_array_of_a_network_with_blocks_agrees_with_the_exact_gradient(
    build, inputs, beta, bar
):
    """The reference is the implicit gradient in float64. Plain layers below and between blocks are compared too."""
    x = jr.normal(jr.key(7), (6, inputs), jnp.float32)
    differentiate = eqx.filter_jit(eqx.filter_grad(cross_entropy))
    net = single(build(Method(gradient=EquilibriumPropagation(beta), rtol=1e-5)))
    estimate = differentiate(net, x)
    exact = differentiate(double(single(build(Method(gradient=EXACT, **TIGHT)))), double(x))
    arrays = lambda tree: eqx.filter(tree, eqx.is_inexact_array)
    assert {leaf.dtype for leaf in jax.tree.leaves(arrays(estimate))} == {jnp.dtype("float32")}
    name, cosine = worst_array(arrays(double(estimate)), arrays(exact))
    assert cosine > bar, name
