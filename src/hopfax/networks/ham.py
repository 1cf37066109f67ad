"""Hierarchical associative memories, and networks of layers in a row or on any graph."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, Scalar

from .._internal.checks import require_key
from ..lagrangians import AbstractLagrangian, Sigmoid
from ..lagrangians.base import require_lagrangian
from .layers import Layer
from .network import AbstractNetwork, States, by_name
from .synapses.base import AbstractSynapse, named
from .synapses.dense import Bias, Dense


class HAM(AbstractNetwork):
    """`E(s) = Σ_layers [s·g - L(s)] + Σ_synapses E(g_1, g_2, ...)`, with activations `g = ∇L(s)`.

    It descends in the activations: an equilibrium is where the state of every free layer equals its drive,
    `s = W ρ(s) + b`.

    Args:
        layers: name -> `Layer`, in the order in which they are to be listed (input first by custom).
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
        self.layers, self.synapses = by_name(layers), named(synapses)

    def of(self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse]) -> "HAM":
        return HAM(layers, synapses)

    def layer_energy(self, name: str, state: Array) -> Scalar:
        """`L*(g) = s·g - L(s)`."""
        return self.layers[name].lagrangian.energy(state)

    def fixed_point_map(self, states: States, drives: States) -> States:
        return drives

    def minimise_layers(self, drives: States) -> States:
        """The drives: given the others, each layer has one best state. Source: [goemaere2024], eq. 9."""
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
    """Layers in a row: `chain([784, 512, 10], key=key)` has layers "input", "hidden" and "output".

    Weights are Xavier uniform for each block, `U(±sqrt(6 / (fan_in + fan_out)))`; biases of all layers but the
    first are `N(0, bias_std²)`. Longer chains have hidden layers "hidden1", "hidden2", ...
    Args: `lagrangian` one for all layers, or one for each; `Sigmoid.paper()` by default.
    Source: [goemaere2024], section 4 (biases `N(0, 0.01²)`); the 2023 version starts them at 0.
    """
    if not isinstance(sizes, Sequence) or len(sizes) < 2:
        raise ValueError(
            f"`chain(sizes={sizes!r})` needs at least two layers; give an input and an output size."
        )
    names = chain_names(len(sizes))
    lagrangians = _one_each(lagrangian, len(sizes))
    layers = {name: Layer(size, one) for name, size, one in zip(names, sizes, lagrangians, strict=True)}
    return connect(layers, list(itertools.pairwise(names)), key=key, bias_std=bias_std)


def connect(
    layers: Mapping[str, Layer],
    pairs: Sequence[tuple[str, str]],
    *,
    key: Key[Array, ""],
    bias_std: float = 0.01,
) -> HAM:
    """A HAM with a Xavier-uniform `Dense` synapse for each of `pairs` and a `Bias` on every layer but the first.

    Any graph: skip connections are pairs like any other. Source: [goemaere2024], section 4 and Appendix B.
    """
    _check_pairs(layers, pairs)
    require_key("connect", key)
    if not bias_std >= 0:
        raise ValueError(f"`bias_std={bias_std}` must be 0 or more, and 0.01 is the paper's.")
    weight_keys, bias_keys = (
        jr.split(jr.fold_in(key, 0), len(pairs)),
        jr.split(jr.fold_in(key, 1), len(layers)),
    )
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


def xavier(key: Key[Array, ""], fan_in: int, fan_out: int) -> Float[Array, "fan_in fan_out"]:
    """`U(±sqrt(6 / (fan_in + fan_out)))`."""
    bound = (6 / (fan_in + fan_out)) ** 0.5
    return jr.uniform(key, (fan_in, fan_out), jnp.float32, -bound, bound)


def chain_names(count: int) -> tuple[str, ...]:
    """The layer names of a chain: input, hidden (or hidden1, hidden2, ...), output."""
    hidden = ("hidden",) if count == 3 else tuple(f"hidden{i}" for i in range(1, count - 1))
    return ("input", *hidden, "output")


def _one_each(lagrangian, count: int) -> list[AbstractLagrangian]:
    if lagrangian is None:
        return [Sigmoid.paper()] * count
    if isinstance(lagrangian, AbstractLagrangian):
        return [lagrangian] * count
    if not isinstance(lagrangian, Sequence) or isinstance(lagrangian, str):
        require_lagrangian("chain(lagrangian=...)", lagrangian)
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
