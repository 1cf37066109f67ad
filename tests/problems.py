"""A zoo of small models with their clamps, and the zoo as one problem that is chosen by a traced index."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hopfax import HAM, Bias, Dense, Layer, chain, connect
from hopfax.gradients import Centred, Holomorphic, Negative, Positive
from hopfax.lagrangians import Identity, LayerNorm, Sigmoid, Softmax, Tanh
from hopfax.objective import objective_example
from hopfax.updates import Coloured
from hopfax.updates.problem import AbstractMap, Problem

variants_with_order = pytest.mark.parametrize(
    ("variant", "order"),
    [
        (Centred(), 2),
        (Positive(), 1),
        pytest.param(Negative(), 1, marks=pytest.mark.slow),
        (Holomorphic(4), 4),
    ],
    ids=str,
)
"""The order of the error of equilibrium propagation in the nudge."""


def slow_except(table, quick) -> list:
    """The names of a table as rows of a test; those that are not in `quick` are slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in table]


def double(tree):
    """All floating-point arrays of `tree` in float64."""
    return _each_array(lambda x: x.astype(np.float64), tree)


def single(tree):
    """All floating-point arrays of `tree` in float32."""
    return _each_array(lambda x: x.astype(np.float32), tree)


def scaled(model: HAM, factor: float) -> HAM:
    """The model with every weight and bias multiplied by `factor`."""
    times = lambda x: (factor * x).astype(x.dtype)
    return eqx.tree_at(lambda m: m.synapses, model, _each_array(times, model.synapses))


def _each_array(function, tree):
    """In NumPy unless traced, where it compiles nothing."""
    apply = lambda x: function(x) if isinstance(x, jax.core.Tracer) else jnp.asarray(function(np.asarray(x)))
    return jax.tree.map(lambda x: apply(x) if eqx.is_inexact_array(x) else x, tree)


def clamped(size: int = 4, seed: int = 9):
    return {"input": jr.uniform(jr.key(seed), (size,), jnp.float64, 0.1, 0.9)}


def sigmoid_chain(*sizes: int) -> HAM:
    return scaled(double(chain(sizes, key=jr.key(len(sizes)), bias_std=0.5)), 0.6)


def scalar() -> HAM:
    """Two neurons: `a = 0.8 tanh(b)`, `b = 0.8 tanh(a) + 0.5`."""
    layers = {"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}
    return HAM(layers, [Dense(("a", "b"), jnp.array([[0.8]])), Bias("b", jnp.array([0.5]))])


def linear() -> HAM:
    """Identity neurons in a chain: the equilibrium solves `(I - A) s = b`."""
    return scaled(double(chain([4, 5, 3], Identity(), key=jr.key(2), bias_std=1.0)), 0.45)


def skip() -> HAM:
    """A chain of five layers with a skip connection that keeps it bipartite."""
    layers = {name: Layer(3, Tanh()) for name in ("hidden1", "hidden2", "hidden3", "output")}
    pairs = [("input", "hidden1"), ("hidden1", "hidden2"), ("hidden2", "hidden3"), ("hidden3", "output")]
    model = connect({"input": Layer(4, Tanh()), **layers}, [*pairs, ("hidden1", "output")], key=jr.key(3))
    return scaled(double(model), 0.4)


def triangle() -> HAM:
    """Three layers, each joined to the others: not bipartite."""
    layers = {
        "input": Layer(4, Tanh()),
        "a": Layer(3, Tanh()),
        "b": Layer(2, Sigmoid(3.0)),
        "c": Layer(3, Tanh()),
    }
    pairs = [("input", "a"), ("a", "b"), ("b", "c"), ("c", "a")]
    return scaled(double(connect(layers, pairs, key=jr.key(4), bias_std=0.5)), 0.5)


def softmax() -> HAM:
    """A softmax memory layer between two others: the modern Hopfield network."""
    return double(chain([4, 5, 3], [Identity(), Softmax(2.0), Tanh()], key=jr.key(5), bias_std=0.3))


def layernorm() -> HAM:
    """A layer whose neurons are normalised together."""
    model = chain([4, 5, 3], [Identity(), LayerNorm(0.7, eps=0.5), Tanh()], key=jr.key(6), bias_std=0.3)
    return scaled(double(model), 0.7)


ZOO = {
    "scalar": (scalar(), {}),
    "linear": (linear(), clamped()),
    "chain3": (sigmoid_chain(4, 5, 3), clamped()),
    "chain4": (sigmoid_chain(4, 3, 3, 2), clamped()),
    "chain5": (sigmoid_chain(4, 3, 3, 3, 2), clamped()),
    "skip": (skip(), clamped()),
    "triangle": (triangle(), clamped()),
    "softmax": (softmax(), clamped()),
    "layernorm": (layernorm(), clamped()),
}


class Family(AbstractMap):
    """Several problems on one padded vector, so that a solver is compiled once for all of them."""

    problems: list[Problem]
    index: jax.Array
    width: int = eqx.field(static=True)

    @staticmethod
    def of(zoo) -> "Family":
        problems = [Problem(model.condition(clamp), Coloured()) for model, clamp in zoo.values()]
        width = max(ravel_pytree(_zeros(p))[0].size for p in problems)
        return Family(problems, jnp.arange(len(problems)), width)

    def at(self, index) -> "Family":
        return Family(self.problems, index, self.width)

    def evaluate(self, states, energy=True, slope=False):
        return jax.lax.switch(self.index, [self._branch(p) for p in self.problems], states)

    def _branch(self, problem: Problem):
        vector, unravel = ravel_pytree(_zeros(problem))

        def evaluate(states):
            image, info = problem.evaluate(unravel(states["z"][: vector.size]))
            return {"z": jnp.pad(ravel_pytree(image)[0], (0, self.width - vector.size))}, info

        return evaluate


def _zeros(problem: Problem):
    return problem.restrict(problem.model.zeros(jnp.float64))


def blocks(model: HAM, names) -> tuple[np.ndarray, np.ndarray]:
    """The dense one-matrix form `W`, `b` over the layers in `names`. Source: [goemaere2024], Appendix B."""
    sizes = [model.layers[name].size for name in names]
    ends = np.cumsum([0, *sizes])
    place = {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(names)}
    weight, bias = np.zeros((ends[-1], ends[-1])), np.zeros(ends[-1])
    for synapse in model.synapses.values():
        if isinstance(synapse, Dense):
            a, b = (place[name] for name in synapse.layers)
            weight[a, b], weight[b, a] = synapse.weight, synapse.weight.T
        if isinstance(synapse, Bias):
            bias[place[synapse.layers[0]]] = synapse.bias
    return weight, bias


def close(a, b, tolerance=1e-12) -> bool:
    """Whether two pytrees agree, entry by entry, to `tolerance` absolute plus relative."""
    return all(
        np.allclose(x, y, rtol=tolerance, atol=tolerance)
        for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)
    )


def costs_with_stats(model, clamp, cost, target, method, stats):
    """`objective` of an example or a batch, differentiable with respect to the statistics of its backward solve."""
    example = lambda clamp, target, stats: objective_example(model, clamp, {}, cost, target, method, stats)
    return (example if stats.residual.ndim == 0 else jax.vmap(example))(clamp, target, stats)[0]
