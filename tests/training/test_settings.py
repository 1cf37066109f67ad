"""What users rely on without saying it: defaults, the ends of each allowed range, and what of a module is trained."""

import dataclasses
import inspect
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from hopfax import HAM, Bias, Dense, Interaction, Layer, Method, Synchronous, chain, connect
from hopfax.gradients import (
    ConjugateGradient,
    CoupledLearning,
    EquilibriumPropagation,
    Holomorphic,
    Iterated,
    Krylov,
    Neumann,
    Phantom,
    RecurrentBackprop,
    Unrolled,
)
from hopfax.lagrangians import (
    AlongAxis,
    Entmax,
    Exponential,
    HardSigmoid,
    Identity,
    KSubsets,
    LayerNorm,
    Linear,
    MixtureOfFactors,
    Normmax,
    Polynomial,
    ReLU,
    Sigmoid,
    Softmax,
    Softmax1,
    Sparsemax,
    SphericalNorm,
    Tanh,
)
from hopfax.networks import AveragePool, MaxPool, SoftPool
from hopfax.networks.synapses import Constant, Field
from hopfax.solvers import (
    Absolute,
    Anderson,
    Broyden,
    Energy,
    GradientFlow,
    Picard,
    Relative,
    Residual,
    Stopping,
    newton,
)
from hopfax.solvers.batched_loop import batched_while_loop
from hopfax.training import SpectralPenalty
from hopfax.updates import Damped

# Those of the pages and docstrings. Whoever changes one changes everybody's numbers, and should mean to.
DEFAULTS = {
    Anderson: {"window": 5, "start_rtol": 0.1, "max_overrelaxation": 64.0, "mixing": 1.0}
    | {"rtol": 1e-5, "atol": 1e-6},
    Broyden: {"memory": 8, "reach": 100.0, "mixing": 1.0, "rtol": 1e-5, "atol": 1e-6},
    Picard: {"damping": 0.0, "rtol": 1e-5, "atol": 1e-6},
    GradientFlow: {"solver": None, "controller": None, "step": None, "share": 0.1, "max_steps": 1000},
    Energy: {"slack": 4.0},
    Residual: {"growth": 2.0},
    Absolute: {"factor": 1e-10},
    Relative: {"factor": None},
    Damped: {"step": 0.5},
    ConjugateGradient: {"rtol": 1e-5, "max_products": 100, "damping": 0.0},
    Neumann: {"terms": 8, "rtol": 0.0},
    Iterated: {"rtol": 1e-5, "max_products": 200},
    RecurrentBackprop: {"steps": 8, "tolerance": 0.0},
    Unrolled: {"steps": 100},
    Phantom: {"steps": 5, "damping": 0.0},
    EquilibriumPropagation: {"beta": None},
    CoupledLearning: {"beta": 0.1},
    Holomorphic: {"count": 6},
    Sigmoid: {"slope": 1.0, "centre": 0.0},
    Tanh: {"slope": 1.0},
    Softmax: {"beta": 1.0},
    LayerNorm: {"gain": 1.0, "shift": 0.0, "eps": 1e-5},
    SphericalNorm: {"eps": 1e-5},
    MixtureOfFactors: {"beta": 1.0, "gain": 1.0},
    AlongAxis: {"axis": -1},
    Linear: {"gain": 1.0},
    Polynomial: {"beta": 1.0},
    Exponential: {"beta": 1.0},
    Softmax1: {"beta": 1.0},
    Sparsemax: {"beta": 1.0},
    Entmax: {"alpha": 1.5, "beta": 1.0},
    Normmax: {"alpha": 2.0, "beta": 1.0},
    KSubsets: {"k": 2, "beta": 1.0},
    AveragePool: {"window": 2, "stride": None},
    MaxPool: {"window": 2, "stride": None},
    SoftPool: {"window": 2, "stride": None, "beta": 4.0},
    SpectralPenalty: {"weight": 1.0, "limit": 0.9, "products": 6},
    Method: {"rtol": 1e-4, "atol": None, "max_steps": 200, "check_every": 1},
    Interaction: {"affine": False, "clamped": False},
    Stopping: {"check_every": 1},
    batched_while_loop: {"check_every": 1},
    chain: {"lagrangian": None, "bias_std": 0.01},
    connect: {"bias_std": 0.01},
    newton: {"rtol": 1e-4, "restart": 30, "max_products": 90},
}


def defaults_of(thing) -> dict:
    if dataclasses.is_dataclass(thing):
        return {field.name: field.default for field in dataclasses.fields(thing)}
    return {name: parameter.default for name, parameter in inspect.signature(thing).parameters.items()}


@pytest.mark.parametrize("thing", DEFAULTS, ids=lambda thing: thing.__name__)
def test_defaults_are_those_of_the_documentation(thing):
    defaults = defaults_of(thing)
    assert {name: defaults[name] for name in DEFAULTS[thing]} == DEFAULTS[thing]


def test_what_defaults_are_made_of():
    anderson, gmres, newtons = Iterated().solver, Krylov().solver, newton()
    assert (anderson.start_rtol, anderson.max_overrelaxation, anderson.window) == (math.inf, 1.0, 5)
    assert (gmres.rtol, gmres.atol, gmres.restart, gmres.max_steps) == (1e-5, 1e-7, 30, 100)
    assert (newtons.rtol, newtons.atol) == (1e-5, 1e-6)
    assert (newtons.linear_solver.rtol, newtons.linear_solver.atol) == (1e-4, 0.0)
    assert (newtons.linear_solver.restart, newtons.linear_solver.max_steps) == (30, 90)
    assert (Sigmoid.paper().slope, Sigmoid.paper().centre) == (4.0, 0.5)


# A maker of one setting, values at the ends of its range or just inside, and values just outside.
LEAST = 1e-9
RANGES = {
    "Anderson.delay": (lambda x: Anderson(delay=x), [0, 5], [-1, 2.5]),
    "Anderson.window": (lambda x: Anderson(window=x), [2, 3], [1, 2.5]),
    "Anderson.mixing": (lambda x: Anderson(mixing=x), [LEAST, 1.0], [0.0, 1 + LEAST]),
    "Anderson.start_rtol": (lambda x: Anderson(start_rtol=x), [0.0, 0.5, math.inf], [-LEAST, math.nan]),
    "Anderson.max_overrelaxation": (lambda x: Anderson(max_overrelaxation=x), [1.0, 2.0], [1 - LEAST]),
    "Broyden.memory": (lambda x: Broyden(memory=x), [1, 2], [0, 1.5]),
    "Broyden.reach": (lambda x: Broyden(reach=x), [1.0, 1.5], [1 - LEAST]),
    "Broyden.mixing": (lambda x: Broyden(mixing=x), [LEAST, 1.0], [0.0, 1 + LEAST]),
    "Picard.damping": (lambda x: Picard(x), [0.0, 1 - LEAST], [-LEAST, 1.0]),
    "GradientFlow.step": (lambda x: GradientFlow(step=x), [LEAST, None], [0.0]),
    "GradientFlow.share": (lambda x: GradientFlow(share=x), [LEAST, 1.0], [0.0, 1 + LEAST]),
    "GradientFlow.max_steps": (lambda x: GradientFlow(max_steps=x), [1, 2], [0, 1.5]),
    "Damped.step": (lambda x: Damped(Synchronous(), x), [LEAST, 1.0], [0.0, 1 + LEAST]),
    "Absolute.factor": (lambda x: Absolute(x), [0.0], [-LEAST]),
    "Relative.factor": (lambda x: Relative(x), [0.0, None], [-LEAST]),
    "newton.rtol": (lambda x: newton(x), [LEAST, 1 - LEAST], [0.0, 1.0]),
    "newton.restart": (lambda x: newton(restart=x), [1], [0]),
    "newton.max_products": (lambda x: newton(max_products=x), [1], [0]),
    "Method.rtol": (lambda x: Method(rtol=x), [0.0, 1.0], [-LEAST]),
    "Method.atol": (lambda x: Method(atol=x), [0.0, 1.0, None], [-LEAST]),
    "Method.max_steps": (lambda x: Method(max_steps=x), [0, 1], [-1, 0.5]),
    "Method.check_every": (lambda x: Method(check_every=x), [1, 2], [0, 1.5]),
    "Stopping.check_every": (lambda x: Stopping(0.0, 0.0, 1, x), [1, 2], [0]),
    "ConjugateGradient.rtol": (lambda x: ConjugateGradient(x), [LEAST, 1 - LEAST], [0.0, 1.0]),
    "ConjugateGradient.damping": (lambda x: ConjugateGradient(damping=x), [0.0, 1 - LEAST], [-LEAST, 1.0]),
    "ConjugateGradient.max_products": (lambda x: ConjugateGradient(max_products=x), [1], [0]),
    "Iterated.rtol": (lambda x: Iterated(rtol=x), [LEAST, 1 - LEAST], [0.0, 1.0]),
    "Iterated.max_products": (lambda x: Iterated(max_products=x), [1], [0]),
    "Neumann.terms": (lambda x: Neumann(x), [1], [0]),
    "Neumann.rtol": (lambda x: Neumann(rtol=x), [0.0, 2.0], [-LEAST]),
    "RecurrentBackprop.steps": (lambda x: RecurrentBackprop(x), [1], [0]),
    "Unrolled.steps": (lambda x: Unrolled(x), [1], [0]),
    "Phantom.steps": (lambda x: Phantom(x), [1], [0]),
    "Phantom.damping": (lambda x: Phantom(damping=x), [0.0, 1 - LEAST], [-LEAST, 1.0]),
    "Holomorphic.count": (lambda x: Holomorphic(x), [2, 3], [1]),
    "Tanh.slope": (lambda x: Tanh(x), [LEAST, jnp.ones(())], [0.0, math.inf, math.nan, 1j, jnp.ones(2)]),
    "Sigmoid.slope": (lambda x: Sigmoid(x), [LEAST], [0.0, math.inf, "steep"]),
    "Sigmoid.centre": (lambda x: Sigmoid(1.0, x), [-1.0, 0.0], [math.inf, math.nan]),
    "Softmax.beta": (lambda x: Softmax(x), [LEAST], [0.0]),
    "Linear.gain": (lambda x: Linear(x), [LEAST], [0.0]),
    "Polynomial.degree": (lambda x: Polynomial(x), [2, 2.5], [2 - LEAST, math.inf]),
    "Polynomial.beta": (lambda x: Polynomial(3, x), [LEAST], [0.0]),
    "Exponential.beta": (lambda x: Exponential(x), [LEAST], [0.0]),
    "Softmax1.beta": (lambda x: Softmax1(x), [LEAST], [0.0]),
    "Sparsemax.beta": (lambda x: Sparsemax(x), [LEAST], [0.0]),
    "Entmax.alpha": (lambda x: Entmax(x), [1 + LEAST, 2.5], [1.0, math.inf]),
    "Entmax.beta": (lambda x: Entmax(1.5, x), [LEAST], [0.0]),
    "Normmax.alpha": (lambda x: Normmax(x), [1 + LEAST, 2.5], [1.0, math.inf]),
    "Normmax.beta": (lambda x: Normmax(2.0, x), [LEAST], [0.0]),
    "KSubsets.k": (lambda x: KSubsets(x), [1, 3], [0, 1.5]),
    "KSubsets.beta": (lambda x: KSubsets(2, x), [LEAST], [0.0]),
    "LayerNorm.gain": (lambda x: LayerNorm(x), [LEAST], [0.0]),
    "LayerNorm.shift": (lambda x: LayerNorm(1.0, x), [-1.0, 0.0], [math.inf]),
    "LayerNorm.eps": (lambda x: LayerNorm(eps=x), [LEAST], [0.0]),
    "SphericalNorm.eps": (lambda x: SphericalNorm(x), [LEAST], [0.0]),
    "MixtureOfFactors.beta": (lambda x: MixtureOfFactors(x), [LEAST], [0.0]),
    "MixtureOfFactors.gain": (lambda x: MixtureOfFactors(1.0, x), [LEAST], [0.0]),
    "bias_std": (lambda x: chain([2, 3], key=jr.key(0), bias_std=x), [0.0, 1.0], [-LEAST]),
    "sizes": (lambda x: chain(x, key=jr.key(0)), [[1, 1]], [[1], 3, "12"]),
    "lagrangian": (lambda x: chain([2, 3], x, key=jr.key(0)), [None, [Tanh()] * 2], [[Tanh()], Tanh, "tanh"]),
    "pairs": (
        lambda x: connect({"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}, [x], key=jr.key(0)),
        [("a", "b"), ("b", "a")],
        [("a", "a"), ("a", "c"), ("a",), ("a", "b", "a")],
    ),
    "layers": (
        lambda x: connect(x, [("a", "b")], key=jr.key(0)),
        [{"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}],
        [{}, [Layer(1, Tanh())]],
    ),
    "Dense.layers": (
        lambda x: Dense(x, jnp.zeros((1, 1))),
        [("a", "b")],
        ["ab", ("a",), ("a", "b", "c")],
    ),
    "synapses": (
        lambda x: HAM({"a": Layer(1, Tanh())}, x),
        [[], [Bias("a", jnp.zeros(1))], {"own": Bias("a", jnp.zeros(1))}],
        [[jnp.zeros(1)], ["a"], [Bias("a", jnp.zeros(2))]],
    ),
    "Interaction.function": (
        lambda x: HAM({"a": Layer(2, Tanh())}, [Interaction(("a",), x)]),
        [jnp.sum],
        [jnp.sin, lambda: jnp.zeros(()), lambda a, b: jnp.sum(a)],
    ),
}


@pytest.mark.parametrize("name", RANGES)
def test_the_ends_of_a_range_are_allowed_and_what_lies_beyond_is_refused(name):
    make, inside, outside = RANGES[name]
    for value in inside:
        make(value)
    for value in outside:
        with pytest.raises((ValueError, TypeError)):
            make(value)


PAIR = jnp.ones((2, 2))
MODULES = {
    "Dense": (Dense(("a", "b"), PAIR), 1),
    "Bias": (Bias("a", jnp.ones(2)), 1),
    "Field": (Field("a", jnp.ones(2)), 1),
    "Interaction": (Interaction(("a",), jnp.sum), 0),
    "ScaledSynapse": (2.0 * Dense(("a", "b"), PAIR), 1),
    "Constant": (Constant(jnp.zeros(())), 1),
    "HAM": (chain([2, 3, 2], key=jr.key(0)), 4),
    "Anderson": (Anderson(), 0),
    "Broyden": (Broyden(), 0),
    "Stopping": (Method().stopping(), 3),
    "Holomorphic": (Holomorphic(), 0),
    "Layer": (Layer((2, 3), Tanh()), 0),
}


@pytest.mark.parametrize("name", MODULES)
def test_arrays_are_data_and_names_and_counts_are_not(name):
    """What is data is traced, differentiated, updated and saved; a name or a count there would be a wrong leaf."""
    module, arrays = MODULES[name]
    leaves = jax.tree.leaves(module)
    assert sum(eqx.is_array(leaf) for leaf in leaves) == arrays
    assert all(eqx.is_array(leaf) or isinstance(leaf, float) or callable(leaf) for leaf in leaves)


def test_which_synapses_are_affine_clamped_and_vanish():
    properties = lambda synapse: (synapse.affine_in("a"), synapse.clamped, synapse.vanishes)
    assert properties(Dense(("a", "b"), PAIR)) == (True, False, True)
    assert properties(Bias("a", jnp.ones(2))) == (True, False, True)
    assert properties(Field("a", jnp.ones(2))) == (True, True, True)
    assert properties(Constant(jnp.zeros(()))) == (True, True, False)
    assert properties(Interaction(("a",), jnp.sum)) == (False, False, False)
    assert properties(Interaction(("a", "b"), jnp.dot, affine=("b",))) == (False, False, False)
    assert properties(Interaction(("a",), jnp.sum, affine=("a",))) == (True, False, False)


def test_which_neurons_are_holomorphic():
    smooth = [Identity(), Sigmoid(), Tanh(), Softmax(), LayerNorm(), SphericalNorm(), MixtureOfFactors()]
    assert all(neurons.holomorphic for neurons in smooth)
    assert not any(neurons.holomorphic for neurons in (ReLU(), HardSigmoid()))
