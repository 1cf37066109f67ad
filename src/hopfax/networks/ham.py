"""Hierarchical associative memories: chains of layers, layers on any graph, and chains with weak feedback."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, Scalar

from .._internal.checks import require_key, require_number
from ..lagrangians import AbstractLagrangian, Sigmoid
from ..lagrangians.base import require_lagrangian
from .layers import Layer
from .network import AbstractNetwork, States, name_layers
from .synapses.base import AbstractSynapse, name_synapses
from .synapses.dense import Bias, Dense


class HAM(AbstractNetwork):
    """`E(s) = Σ_layers [s·g - L(s)] + Σ_synapses E(g_1, g_2, ...)`, with activations `g = ∇L(s)`.

    It descends in the activations. At an equilibrium the state of every free layer is its drive, `s = W ρ(s) + b`.

    Args:
        layers: name -> `Layer`, in their order, by custom from the input to the output.
        synapses: name -> synapse, or a sequence of synapses, which are then named after their layers.
    Raises: `ValueError` for a layer or synapse that does not fit the rest, saying which and why.
    Source: [krotov2021], eq. 2; [goemaere2024], eq. 3, 4 and 6.
    """

    layers: OrderedDict[str, Layer]
    synapses: OrderedDict[str, AbstractSynapse]
    descends_in_activations: ClassVar[bool] = True

    def __init__(
        self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse] | Sequence[AbstractSynapse]
    ):
        self.layers, self.synapses = name_layers(layers), name_synapses(synapses)

    def rebuild(self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse]) -> "HAM":
        return HAM(layers, synapses)

    def layer_energy(self, name: str, state: Array) -> Scalar:
        """`L*(g) = s·g - L(s)`."""
        return self.layers[name].lagrangian.energy(state)

    def fixed_point_map(self, states: States, drives: States) -> States:
        """The drives."""
        return drives

    def minimise_layers(self, drives: States) -> States:
        """The drives: given the others, each layer has one state of least energy. Source: [goemaere2024], eq. 9."""
        return drives

    def minimum_energy(self, name: str, drive: Array) -> Scalar:
        """`-L(drive)`."""
        return -self.layers[name].lagrangian(drive)

    def linearise(self, response: Callable[[States], States], states: States):
        """`D = ∂g/∂s`, the Hessian of the Lagrangians, and `K = ∂response/∂g`."""
        activations, curvature = jax.linearize(self.activations, states)
        _, product = jax.linearize(response, activations)
        return curvature, product


def chain(
    sizes: Sequence[int],
    lagrangian: AbstractLagrangian | Sequence[AbstractLagrangian] | None = None,
    *,
    key: Key[Array, ""],
    bias_std: float = 0.01,
) -> HAM:
    """A chain of layers: `chain([784, 512, 10], key=key)` has layers "input", "hidden" and "output".

    Weights are Xavier uniform, `U(±sqrt(6 / (fan_in + fan_out)))`, and biases of all layers but the first are
    `N(0, bias_std²)`. Longer chains have hidden layers "hidden1", "hidden2", ...

    Args:
        sizes: neurons of each layer, at least two layers.
        lagrangian: one for all layers, or one for each; `Sigmoid.paper()` by default.
        key: for weights and biases.
        bias_std: at least 0.
    Raises: `ValueError` for other sizes, Lagrangians, keys or deviations.
    Source: [goemaere2024], section 4 (biases `N(0, 0.01²)`); the 2023 version starts them at 0.
    """
    if not isinstance(sizes, Sequence) or len(sizes) < 2:
        raise ValueError(
            f"`chain(sizes={sizes!r})` needs at least two layers; give an input and an output size."
        )
    names = chain_names(len(sizes))
    lagrangians = lagrangian_of_each(lagrangian, len(sizes))
    layers = {name: Layer(size, one) for name, size, one in zip(names, sizes, lagrangians, strict=True)}
    return connect(layers, list(itertools.pairwise(names)), key=key, bias_std=bias_std)


def connect(
    layers: Mapping[str, Layer],
    pairs: Sequence[tuple[str, str]],
    *,
    key: Key[Array, ""],
    bias_std: float = 0.01,
) -> HAM:
    """A HAM on any graph: a Xavier-uniform `Dense` synapse for each pair, and a `Bias` on every layer but the first.

    Args:
        layers: name -> `Layer`, in their order.
        pairs: the names of the two layers of each synapse; a skip connection is a pair like any other.
        key: for weights and biases.
        bias_std: of the biases, at least 0.
    Raises: `ValueError` for an unknown layer, a pair that does not name two layers, another key or deviation.
    Source: [goemaere2024], section 4 and Appendix B.
    """
    _check_pairs(layers, pairs)
    require_key("connect", key)
    require_number("bias_std", bias_std, lambda x: x >= 0, "a number, 0 or more; the papers' is 0.01")
    weight_keys = jr.split(jr.fold_in(key, 0), len(pairs))
    bias_keys = jr.split(jr.fold_in(key, 1), len(layers))
    weights = [
        Dense(pair, xavier(k, layers[pair[0]].size, layers[pair[1]].size))
        for pair, k in zip(pairs, weight_keys, strict=True)
    ]
    biased = list(layers.items())[1:]
    biases = [
        Bias(name, bias_std * jr.normal(k, layer.shape, jnp.float32))
        for (name, layer), k in zip(biased, bias_keys[:-1], strict=True)
    ]
    return HAM(layers, [*weights, *biases])


def with_feedback(model: HAM, feedback: float) -> HAM:
    """`s_l = W_lᵀ ρ(s_{l-1}) + b_l + feedback W_{l+1} ρ(s_{l+1})`: a chain whose layers get weak input from the next.

    It still has an energy: for layer `l` of `0 ... n` in order, `feedback^(l - n)` multiplies the energy of the layer,
    of its bias and of the synapse from the layer before it. Fewer sweeps reach equilibrium, and every gradient stays
    exact.

    Args:
        model: a chain.
        feedback: in (0, 1]; 1 gives `model` itself.
    Raises: `ValueError` for a network that is not a chain, or another feedback.
    Source: derived in this project.
    """
    rule = "in (0, 1]; at 0 there is no energy"
    require_number("with_feedback.feedback", feedback, lambda x: 0 < x <= 1, rule)
    if feedback == 1:
        return model
    factors = {name: feedback ** (index - len(model.order) + 1) for index, name in enumerate(model.order)}
    layers = {name: _scale_layer(model.layers[name], factors[name]) for name in model.order}
    synapses = {label: _scale_synapse(label, synapse, factors) for label, synapse in model.synapses.items()}
    return HAM(layers, synapses)


def _scale_layer(layer: Layer, factor: float) -> Layer:
    return layer if factor == 1 else Layer(layer.shape, factor * layer.lagrangian)


def _scale_synapse(label: str, synapse: AbstractSynapse, factors: Mapping[str, float]) -> AbstractSynapse:
    """The synapse divided by the factor of its first layer, and a bias unchanged: activations are scaled already."""
    order = list(factors)
    indices = sorted(order.index(name) for name in synapse.layers)
    if len(indices) == 1:
        return synapse
    if len(indices) != 2 or indices[1] - indices[0] != 1:
        raise ValueError(
            f"`with_feedback` needs a chain of layers, but synapse {label!r} joins {synapse.layers}."
        )
    factor = factors[order[indices[0]]]
    return synapse if factor == 1 else (1 / factor) * synapse


def xavier(
    key: Key[Array, ""], fan_in: int, fan_out: int, shape: tuple[int, ...] | None = None
) -> Float[Array, "..."]:
    """`U(±sqrt(6 / (fan_in + fan_out)))`, a matrix of these sizes unless `shape` says otherwise."""
    bound = (6 / (fan_in + fan_out)) ** 0.5
    return jr.uniform(key, shape or (fan_in, fan_out), jnp.float32, -bound, bound)


def chain_names(count: int) -> tuple[str, ...]:
    """The layer names of a chain: input, hidden (or hidden1, hidden2, ...), output."""
    hidden = ("hidden",) if count == 3 else tuple(f"hidden{i}" for i in range(1, count - 1))
    return ("input", *hidden, "output")


def lagrangian_of_each(lagrangian: Any, count: int) -> list[AbstractLagrangian]:
    """A Lagrangian for each of `count` layers. Raises: `ValueError` for another number of them, or another kind."""
    if lagrangian is None:
        return [Sigmoid.paper()] * count
    if not isinstance(lagrangian, Sequence) or isinstance(lagrangian, str):
        require_lagrangian("chain(lagrangian=...)", lagrangian)
        return [cast(AbstractLagrangian, lagrangian)] * count
    if len(lagrangian) != count:
        raise ValueError(
            f"`chain(lagrangian=...)` has {len(lagrangian)} entries for {count} layers; give one for each."
        )
    return list(lagrangian)


def _check_pairs(layers: Mapping[str, Layer], pairs: Sequence[tuple[str, str]]) -> None:
    if not isinstance(layers, Mapping) or not layers:
        raise ValueError(
            f"`connect(layers={layers!r})` needs layers by name, {{name: Layer(size, lagrangian)}}."
        )
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise ValueError(f"pair {pair} must name two different layers of {list(layers)}.")
        if unknown := [name for name in pair if name not in layers]:
            raise ValueError(
                f"pair {pair} names an unknown layer {unknown[0]!r}; the layers are {list(layers)}."
            )
