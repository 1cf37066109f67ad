"""Wrong uses in building networks."""

import functools as ft

import jax.numpy as jnp
import jax.random as jr
import numpy as np

import hopfax
from hopfax import CHN, HAM, Bias, Dense, Interaction, Layer, chain, connect
from hopfax import lagrangians as neurons
from hopfax.lagrangians.separations import Entmax, Exponential, Polynomial, Sparsemax
from hopfax.networks import BlockMatrix, Prediction, SharedDense, predictive_coding, with_feedback
from hopfax.networks.graph import Graph
from hopfax.training.architecture import Architecture

from .table import Row

KEY = jr.key(0)
LAYERS = {"a": Layer(2, neurons.Identity()), "b": Layer(3, neurons.Sigmoid())}
WEIGHT = np.zeros((2, 3), np.float32)


@ft.cache
def tiny(*sizes: int) -> HAM:
    """A chain of a few neurons."""
    return chain(sizes or (2, 3, 2), key=KEY)


def matrix(weight=None, bias=None) -> BlockMatrix:
    """Two layers, of one and two neurons, as one matrix."""
    square = np.zeros((3, 3), np.float32) if weight is None else weight
    return BlockMatrix(
        jnp.asarray(square), jnp.zeros((3, 2)), jnp.zeros(3) if bias is None else bias, ("a", "b"), (1, 2)
    )


ROWS = [
    Row(
        "standardise three channels of two",
        lambda _: hopfax.Layer((4, 4, 2), neurons.StandardisedInput((0.1, 0.2, 0.3), 1.0)),
        ValueError,
        r"StandardisedInput\(mean=.*3 channels.*has 2",
    ),
    Row(
        "divide by a deviation of 0",
        lambda _: neurons.StandardisedInput(0.5, (1.0, 0.0)),
        ValueError,
        r"StandardisedInput\(std=0\.0\).*positive",
    ),
    Row("chain of nothing", lambda _: chain([], key=KEY), ValueError, r"sizes=\[\].*at least two layers"),
    Row("chain of one layer", lambda _: chain([3], key=KEY), ValueError, r"sizes=\[3\].*give an input"),
    Row("chain of a number", lambda _: chain(3, key=KEY), ValueError, r"sizes.*3"),
    Row("chain of a text", lambda _: chain("64", key=KEY), ValueError, r"shape=\('6',\).*whole"),
    Row("chain with no neurons", lambda _: chain([3, 0], key=KEY), ValueError, r"\(0,\).*positive whole"),
    Row("chain of -2 neurons", lambda _: chain([3, -2], key=KEY), ValueError, r"\(-2,\).*positive whole"),
    Row("chain of half neurons", lambda _: chain([3, 2.5], key=KEY), ValueError, r"2\.5.*whole"),
    Row("chain with a NaN size", lambda _: chain([3, float("nan")], key=KEY), ValueError, r"nan.*whole"),
    Row(
        "chain with two Lagrangians for three layers",
        lambda _: chain([2, 2, 2], [neurons.Tanh(), neurons.Tanh()], key=KEY),
        ValueError,
        r"lagrangian.*2 entries for 3 layers",
    ),
    Row(
        "chain with a named Lagrangian",
        lambda _: chain([2, 2], "relu", key=KEY),
        ValueError,
        r"lagrangian.*'relu'",
    ),
    Row(
        "chain with a class of neurons",
        lambda _: chain([2, 2], neurons.ReLU, key=KEY),
        ValueError,
        r"lagrangian.*ReLU\(\)",
    ),
    Row("chain with a seed for a key", lambda _: chain([2, 2], key=0), ValueError, r"key=.*jax\.random\.key"),
    Row(
        "chain with negative bias_std",
        lambda _: chain([2, 2], key=KEY, bias_std=-1.0),
        ValueError,
        r"bias_std=-1",
    ),
    Row(
        "chain with NaN bias_std",
        lambda _: chain([2, 2], key=KEY, bias_std=float("nan")),
        ValueError,
        r"bias_std=nan",
    ),
    Row(
        "predictive coding of one layer",
        lambda _: predictive_coding([3], key=KEY),
        ValueError,
        r"predictive_coding\(sizes=\[3\]\).*at least two layers",
    ),
    Row(
        "predictive coding with a function for neurons",
        lambda _: predictive_coding([3, 2, 2], jnp.tanh, key=KEY),
        ValueError,
        r"activation.*Tanh\(\)",
    ),
    Row(
        "predictive coding with a seed for a key",
        lambda _: predictive_coding([3, 2, 2], key=0),
        ValueError,
        r"key=.*jax\.random\.key",
    ),
    Row(
        "prediction by a Dense synapse",
        lambda _: Prediction(Dense(("a", "b"), WEIGHT), np.zeros(3, np.float32)),
        ValueError,
        r"`Prediction\(transform=(.|\n)*SharedDense",
    ),
    Row(
        "prediction with a bias of another shape",
        lambda _: HAM(LAYERS, [Prediction(SharedDense(("a", "b"), WEIGHT), np.zeros(2, np.float32))]),
        ValueError,
        r"bias on 'b' has shape \(2,\).*\(3,\)",
    ),
    Row(
        "connect to an unknown layer",
        lambda _: connect(LAYERS, [("a", "c")], key=KEY),
        ValueError,
        r"unknown layer 'c'.*\['a', 'b'\]",
    ),
    Row(
        "connect a layer with itself",
        lambda _: connect(LAYERS, [("a", "a")], key=KEY),
        ValueError,
        r"pair \('a', 'a'\).*two different",
    ),
    Row(
        "connect three layers by a pair",
        lambda _: connect(LAYERS, [("a", "b", "a")], key=KEY),
        ValueError,
        r"pair.*'b', 'a'\) must name two",
    ),
    Row(
        "connect nothing",
        lambda _: connect(LAYERS, [], key=KEY),
        ValueError,
        r"\['a'\] are disconnected.*join them",
    ),
    Row("connect no layers", lambda _: connect({}, [], key=KEY), ValueError, r"layers=\{\}.*Layer\("),
    Row(
        "layer of no shape", lambda _: Layer((), neurons.Tanh()), ValueError, r"shape=\(\).*how many neurons"
    ),
    Row(
        "softmax layer of two axes",
        lambda _: Layer((4, 3), neurons.Softmax()),
        ValueError,
        r"\(4, 3\).*AlongAxis\(Softmax",
    ),
    Row(
        "axis of a float",
        lambda _: neurons.AlongAxis(neurons.Softmax(), 0.5),
        ValueError,
        r"AlongAxis.axis.*0\.5.*try -1",
    ),
    Row("layer of True neurons", lambda _: Layer(True, neurons.Tanh()), ValueError, r"True.*whole"),
    Row("layer of a float", lambda _: Layer(3.0, neurons.Tanh()), ValueError, r"3\.0.*whole"),
    Row("layer of a text", lambda _: Layer("3", neurons.Tanh()), ValueError, r"'3'.*whole"),
    Row(
        "layer with a function for a Lagrangian",
        lambda _: Layer(3, jnp.tanh),
        ValueError,
        r"lagrangian=.*got tanh",
    ),
    Row("layer with a name for a Lagrangian", lambda _: Layer(3, "tanh"), ValueError, r"lagrangian.*'tanh'"),
    Row("HAM without layers", lambda _: HAM({}, []), ValueError, r"layers` is empty.*Layer\("),
    Row(
        "HAM with a list of layers",
        lambda _: HAM([Layer(2, neurons.Tanh())], []),
        ValueError,
        r"layers.*name",
    ),
    Row("HAM with a number for a layer", lambda _: HAM({"a": 3}, []), ValueError, r"layer 'a'.*3.*Layer"),
    Row("HAM with an array for a synapse", lambda _: HAM(LAYERS, [WEIGHT]), ValueError, r"synapse.*Dense"),
    Row(
        "interaction that is affine in a string",
        lambda _: Interaction(("x", "xy"), lambda x, y: x, affine="xy"),  # pyright: ignore[reportArgumentType]
        ValueError,
        r"affine='xy'.*tuple of names among",
    ),
    Row(
        "dense synapse of one layer", lambda _: Dense(("a",), WEIGHT), ValueError, r"joins two layers.*got 1"
    ),
    Row(
        "dense synapse of three", lambda _: Dense(("a",) * 3, WEIGHT), ValueError, r"joins two layers.*got 3"
    ),
    Row(
        "synapse to an unknown layer",
        lambda _: HAM(LAYERS, [Dense(("a", "c"), WEIGHT)]),
        ValueError,
        r"'c'.*\['a', 'b'\]",
    ),
    Row(
        "synapse of the transposed shape",
        lambda _: HAM(LAYERS, [Dense(("a", "b"), WEIGHT.T)]),
        ValueError,
        r"weight on 'a' and 'b'.*\(3, 2\).*\(2, 3\)",
    ),
    Row(
        "synapse of a vector",
        lambda _: HAM(LAYERS, [Dense(("a", "b"), WEIGHT[0])]),
        ValueError,
        r"weight on 'a' and 'b'.*\(3,\)",
    ),
    Row(
        "synapse of whole numbers",
        lambda _: HAM(LAYERS, [Dense(("a", "b"), np.zeros((2, 3), int))]),
        ValueError,
        r"weight.*int.*float",
    ),
    Row(
        "synapse of complex numbers",
        lambda _: HAM(LAYERS, [Dense(("a", "b"), WEIGHT + 1j)]),
        ValueError,
        r"weight.*complex",
    ),
    Row(
        "synapse of objects",
        lambda _: HAM(LAYERS, [Dense(("a", "b"), WEIGHT.astype(object))]),
        ValueError,
        r"weight.*object",
    ),
    Row(
        "synapse of a list",
        lambda _: HAM(LAYERS, [Dense(("a", "b"), WEIGHT.tolist())]),
        ValueError,
        r"weight.*array",
    ),
    Row("synapse of None", lambda _: HAM(LAYERS, [Dense(("a", "b"), None)]), ValueError, r"weight.*None"),
    Row(
        "synapse between three layers",
        lambda _: Dense(("a", "b", "c"), WEIGHT),
        ValueError,
        r"\('a', 'b', 'c'\).*two",
    ),
    Row(
        "synapse on one layer named as text",
        lambda _: HAM(LAYERS, [Dense("ab", WEIGHT)]),
        ValueError,
        r"layers='ab'",
    ),
    Row(
        "bias of a wrong shape",
        lambda _: HAM(LAYERS, [Bias("b", np.zeros(2, np.float32))]),
        ValueError,
        r"bias on 'b'.*\(2,\).*\(3,\)",
    ),
    Row(
        "bias on an unknown layer",
        lambda _: HAM(LAYERS, [Bias("x", np.zeros(2, np.float32))]),
        ValueError,
        r"'x'",
    ),
    Row(
        "interaction that is no scalar",
        lambda _: HAM(LAYERS, [Interaction(("a", "b"), lambda a, b: a)]),
        ValueError,
        r"one scalar energy.*sum it",
    ),
    Row(
        "interaction of too few arguments",
        lambda _: HAM(LAYERS, [Interaction(("a", "b"), lambda a: jnp.sum(a))]),
        ValueError,
        r"joins \('a', 'b'\) cannot be called",
    ),
    Row(
        "CHN of neurons that compete",
        lambda _: CHN({"a": Layer(3, neurons.Softmax())}, []),
        ValueError,
        r"layer 'a' of a `CHN`.*Softmax.*HAM",
    ),
    Row(
        "even-odd splitting of a triangle",
        lambda _: hopfax.relax(
            connect(
                {n: Layer(1, neurons.Tanh()) for n in "abcd"},
                [tuple(p) for p in ("ab", "bc", "cd", "bd")],
                key=KEY,
            ),
            {"a": np.zeros(1)},
            method=hopfax.Method(update=hopfax.EvenOdd()),
        ),
        ValueError,
        r"odd cycle.*Coloured",
    ),
    Row(
        "energy of states of another shape",
        lambda _: tiny().energy({"input": jnp.zeros(2), "hidden": jnp.zeros(2), "output": jnp.zeros(2)}),
        ValueError,
        r"hidden.*\(2,\).*\(3,\)",
    ),
    Row(
        "energy without a layer",
        lambda _: tiny().energy({"input": jnp.zeros(2)}),
        ValueError,
        r"states.*hidden",
    ),
    Row(
        "condition on an unknown layer",
        lambda _: tiny().condition({"inptu": jnp.zeros(2)}),
        ValueError,
        r"'inptu'",
    ),
    Row(
        "synapse with a negative factor",
        lambda _: -1.0 * Bias("a", jnp.zeros(2)),
        ValueError,
        r"factor=-1\.0.*positive",
    ),
    Row(
        "Lagrangian with factor zero",
        lambda _: 0.0 * neurons.Tanh(),
        ValueError,
        r"factor=0\.0.*positive",
    ),
    Row("feedback of zero", lambda _: with_feedback(tiny(), 0.0), ValueError, r"feedback=0\.0.*\(0, 1\]"),
    Row("feedback above one", lambda _: with_feedback(tiny(), 1.5), ValueError, r"feedback=1\.5"),
    Row("feedback of NaN", lambda _: with_feedback(tiny(), float("nan")), ValueError, r"feedback=nan"),
    Row(
        "architecture of no weights",
        lambda _: Architecture(weight_scale=0.0),
        ValueError,
        r"weight_scale=0\.0.*positive",
    ),
    Row(
        "architecture of negative biases",
        lambda _: Architecture(bias_std=-0.1),
        ValueError,
        r"bias_std=-0\.1",
    ),
    Row(
        "architecture with named neurons",
        lambda _: Architecture(hidden="relu"),
        ValueError,
        r"hidden='relu'.*Lagrangian",
    ),
    Row(
        "sigmoid of slope zero",
        lambda _: neurons.Sigmoid(0.0),
        ValueError,
        r"Sigmoid\(slope=0\.0\).*positive",
    ),
    Row("sigmoid of slope NaN", lambda _: neurons.Sigmoid(float("nan")), ValueError, r"slope.*finite"),
    Row("sigmoid of complex slope", lambda _: neurons.Sigmoid(1j), ValueError, r"slope.*1j"),
    Row("sigmoid of a text", lambda _: neurons.Sigmoid("4"), ValueError, r"slope.*'4'"),
    Row(
        "sigmoid of two slopes",
        lambda _: neurons.Sigmoid(jnp.ones(2)),
        ValueError,
        r"slope=.*one positive.*filter_vmap",
    ),
    Row(
        "sigmoid with an infinite centre",
        lambda _: neurons.Sigmoid(1.0, float("inf")),
        ValueError,
        r"centre.*finite",
    ),
    Row("tanh of a negative slope", lambda _: neurons.Tanh(-1.0), ValueError, r"slope=-1\.0.*positive"),
    Row("tanh of slope None", lambda _: neurons.Tanh(None), ValueError, r"slope.*None"),
    Row("softmax at beta zero", lambda _: neurons.Softmax(0.0), ValueError, r"Softmax\(beta.*positive"),
    Row("softmax at infinite beta", lambda _: neurons.Softmax(float("inf")), ValueError, r"beta.*finite"),
    Row(
        "layer norm without gain", lambda _: neurons.LayerNorm(0.0), ValueError, r"LayerNorm\(gain.*positive"
    ),
    Row("layer norm without eps", lambda _: neurons.LayerNorm(eps=0.0), ValueError, r"eps.*positive"),
    Row(
        "spherical norm of negative eps", lambda _: neurons.SphericalNorm(-1e-5), ValueError, r"eps.*positive"
    ),
    Row(
        "mixture of factors on one axis",
        lambda _: Layer(6, neurons.MixtureOfFactors()),
        ValueError,
        r"\(6,\).*two axes",
    ),
    Row(
        "mixture of factors without gain",
        lambda _: neurons.MixtureOfFactors(1.0, 0.0),
        ValueError,
        r"MixtureOfFactors\(gain.*positive",
    ),
    Row("entmax at alpha one", lambda _: Entmax(1.0), ValueError, r"alpha=1\.0.*above 1"),
    Row("entmax at alpha NaN", lambda _: Entmax(float("nan")), ValueError, r"alpha=nan.*finite"),
    Row("entmax at infinite alpha", lambda _: Entmax(float("inf")), ValueError, r"alpha=inf.*finite"),
    Row("polynomial of degree one", lambda _: Polynomial(1), ValueError, r"degree=1.*at least 2"),
    Row("polynomial of degree NaN", lambda _: Polynomial(float("nan")), ValueError, r"degree=nan"),
    Row("polynomial of infinite degree", lambda _: Polynomial(float("inf")), ValueError, r"degree=inf"),
    Row("exponential of negative beta", lambda _: Exponential(-1.0), ValueError, r"beta.*positive"),
    Row("softmax1 at beta zero", lambda _: neurons.Softmax1(0.0), ValueError, r"Softmax1\(beta.*positive"),
    Row("sparsemax of NaN", lambda _: Sparsemax(float("nan")), ValueError, r"beta.*finite"),
    Row(
        "block matrix that is not symmetric",
        lambda _: matrix(np.triu(np.ones((3, 3), np.float32), 1)).to_ham(
            {n: neurons.Tanh() for n in ("input", "a", "b")}
        ),
        ValueError,
        r"not symmetric between 'a' and 'b'",
    ),
    Row(
        "block matrix with a layer joined to itself",
        lambda _: matrix(np.ones((3, 3), np.float32)).to_ham(
            {n: neurons.Tanh() for n in ("input", "a", "b")}
        ),
        ValueError,
        r"layer 'a'.*diagonal",
    ),
    Row(
        "block matrix of another size",
        lambda _: matrix(np.zeros((2, 2), np.float32)),
        ValueError,
        r"sizes=\(1, 2\).*3 neurons.*\(2, 2\)",
    ),
    Row(
        "block matrix without Lagrangians",
        lambda _: matrix().to_ham({}),
        ValueError,
        r"lagrangians.*\['input', 'a', 'b'\]",
    ),
    Row(
        "block matrix of an interaction",
        lambda _: BlockMatrix.from_network(
            HAM(LAYERS, [Interaction(("a", "b"), lambda a, b: jnp.sum(a) * jnp.sum(b))])
        ),
        ValueError,
        r"Interaction.*Dense",
    ),
    Row(
        "graph with an unknown edge",
        lambda _: Graph(("a",), (("a", "b"),)).colours(),
        ValueError,
        r"edge.*'b'",
    ),
]
