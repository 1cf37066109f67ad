"""Convolutional networks and networks with skip connections, built in one line."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from .._internal.checks import is_integer, require_integer, require_key, require_kind, require_number
from ..lagrangians import AbstractLagrangian, HardSigmoid, Identity
from .ham import HAM, chain_names, lagrangian_of_each, xavier
from .layers import Layer
from .synapses import AbstractPool, AbstractSynapse, Bias, Conv, ConvPool, Dense, OneToOne

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ConvBlock:
    """A convolution to a layer with `channels` channels, with pooling or without.

    Args:
        channels: of the layer.
        size: of the square kernel.
        stride: steps of the kernel.
        padding: zeros at both ends; half of the kernel if None, which keeps the size of the maps at stride 1.
        groups: of channels that do not mix.
        pool: `AveragePool(2)`, `MaxPool(2)`, `SoftPool(2)` or None.
    Raises: `ValueError` for values out of range.
    """

    channels: int
    size: int
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    pool: AbstractPool | None = None

    def __post_init__(self):
        for name in ("channels", "size", "stride", "groups"):
            require_integer(f"ConvBlock.{name}", getattr(self, name), 1)
        if self.padding is not None:
            require_integer("ConvBlock.padding", self.padding, 0)
        if self.pool is not None:
            require_kind("ConvBlock.pool", self.pool, AbstractPool, "MaxPool(2)")

    def synapse(self, layers: tuple[str, str], shape: Shape, key: Key[Array, ""]) -> Conv | ConvPool:
        """The synapse from a layer of `shape` to the next, with Xavier-uniform weights by the fan of the kernel."""
        if len(shape) not in (2, 3):
            raise ValueError(
                f"a `ConvBlock` needs maps (height, width, channels) or (length, channels), got a layer of shape "
                f"{shape}; put it before the dense layers."
            )
        spatial = (self.size,) * (len(shape) - 1)
        fans = (
            math.prod(spatial) * shape[-1] // self.groups,
            math.prod(spatial) * self.channels // self.groups,
        )
        kernel_shape = (*spatial, shape[-1] // self.groups, self.channels)
        kernel = xavier(key, *fans, shape=kernel_shape)
        padding = self.size // 2 if self.padding is None else self.padding
        moves = {"stride": self.stride, "padding": padding, "groups": self.groups}
        if self.pool is None:
            return Conv(layers, kernel, **moves)
        return ConvPool(layers, kernel, self.pool, **moves)


def convolutional(
    shape: Sequence[int],
    blocks: Sequence[ConvBlock | int],
    classes: int,
    lagrangian: AbstractLagrangian | Sequence[AbstractLagrangian] | None = None,
    *,
    key: Key[Array, ""],
    bias_std: float = 0.0,
) -> HAM:
    """A chain of convolutional layers and then dense ones, such as
    `convolutional((28, 28, 1), [ConvBlock(32, 5, stride=2), ConvBlock(64, 3, stride=2)], 10, key=key)`.

    The layers are "input", "hidden1", "hidden2", ..., "output". Weights are Xavier uniform by the fan of the kernel.
    Every layer but the first has biases, one for each channel or dense neuron.

    Args:
        shape: of the input, (height, width, channels) or (length, channels).
        blocks: `ConvBlock`s, then numbers of neurons of dense hidden layers, if any.
        classes: neurons of the output.
        lagrangian: one for all layers, or one for each. By default input and output are linear and hidden neurons are
            clipped to [0, 1], which bounds the energy from below whatever the weights. `ReLU()` needs weak feedback:
            with strong weights its energy is not bounded (status `unbounded`).
        key: for weights and biases.
        bias_std: standard deviation of the initial biases, at least 0.
    Raises: `ValueError` for other values, and for a kernel or window that is larger than the maps.
    """
    _check_shape(shape)
    require_integer("convolutional(classes=...)", classes, 1)
    return build_chain([tuple(shape), *blocks, classes], lagrangian, key=key, bias_std=bias_std)


def residual(
    shape: Sequence[int],
    channels: int,
    depth: int,
    classes: int,
    *,
    stem: ConvBlock | None = None,
    skip: float = 0.25,
    lagrangian: AbstractLagrangian | Sequence[AbstractLagrangian] | None = None,
    key: Key[Array, ""],
) -> HAM:
    """A convolutional network with skip connections, one to one: from each layer of maps to the layer after the next.

    Args:
        shape: of the input, (height, width, channels) or (length, channels).
        channels: of all layers of maps.
        depth: layers of maps, at least 3.
        classes: neurons of the output.
        stem: from the input to the first layer; `ConvBlock(channels, 3, stride=2)` by default.
        skip: weight of the skip connections.
        lagrangian: as for `convolutional`.
        key: for the weights.
    Raises: `ValueError` for other values.
    """
    require_integer("residual(depth=...)", depth, 3)
    require_number("residual(skip=...)", skip, math.isfinite, "one finite number")
    first = ConvBlock(channels, 3, stride=2) if stem is None else stem
    blocks = [first, *[ConvBlock(channels, 3)] * (depth - 1)]
    plain = convolutional(shape, blocks, classes, lagrangian, key=key)
    maps = plain.order[1 : depth + 1]
    skips = [OneToOne((a, b), jnp.float32(skip)) for a, b in zip(maps, maps[2:], strict=False)]
    return HAM(plain.layers, {**plain.synapses, **{f"{s.layers[0]}-{s.layers[1]}": s for s in skips}})


def build_chain(
    sizes: Sequence[Any],
    lagrangian: AbstractLagrangian | Sequence[AbstractLagrangian] | None,
    *,
    key: Key[Array, ""],
    bias_std: float,
) -> HAM:
    """A chain of the size or shape of the input, then `ConvBlock`s or numbers of neurons; see `convolutional`.

    With numbers alone it is `chain`, with the same weights for the same key.
    """
    if len(sizes) < 2:
        raise ValueError(f"`{list(sizes)}` needs at least two layers; give an input and an output size.")
    require_key("convolutional", key)
    require_number("bias_std", bias_std, lambda x: x >= 0, "a number, 0 or more")
    names = chain_names(len(sizes))
    shapes, synapses = [sizes[0] if isinstance(sizes[0], tuple) else (sizes[0],)], []
    for pair, size, weight_key in zip(
        itertools.pairwise(names), sizes[1:], jr.split(jr.fold_in(key, 0), len(sizes) - 1), strict=True
    ):
        synapse, shape = _next(pair, shapes[-1], size, weight_key)
        synapses.append(synapse)
        shapes.append(shape)
    neurons = _ends_linear(len(sizes)) if lagrangian is None else lagrangian_of_each(lagrangian, len(sizes))
    layers = {name: Layer(shape, one) for name, shape, one in zip(names, shapes, neurons, strict=True)}
    return HAM(layers, [*synapses, *_biases(layers, jr.fold_in(key, 1), bias_std)])


def _next(
    pair: tuple[str, str], shape: Shape, size: ConvBlock | int, key: Key[Array, ""]
) -> tuple[AbstractSynapse, Shape]:
    """The synapse to the next layer, and its shape."""
    if isinstance(size, ConvBlock):
        synapse = size.synapse(pair, shape, key)
        return synapse, synapse.output_shape(shape)
    if not is_integer(size) or size < 1:
        raise ValueError(f"{size!r} is no layer; give a `ConvBlock` or a positive number of neurons.")
    return Dense(pair, xavier(key, math.prod(shape), size)), (size,)


def _biases(layers: Mapping[str, Layer], key: Key[Array, ""], std: float) -> list[Bias]:
    """A bias for each channel or dense neuron of every layer but the first."""
    rest = list(layers.items())[1:]
    draw = lambda key, size: std * jr.normal(key, (size,), jnp.float32)
    keys = jr.split(key, len(layers))[:-1]  # as `connect` draws them
    return [Bias(name, draw(k, layer.shape[-1])) for (name, layer), k in zip(rest, keys, strict=True)]


def _ends_linear(count: int) -> list[AbstractLagrangian]:
    return [Identity(), *[HardSigmoid()] * (count - 2), Identity()]


def _check_shape(shape: Any) -> None:
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(sizes) not in (2, 3) or not all(is_integer(n) and n > 0 for n in sizes):
        raise ValueError(
            f"`shape` must be (height, width, channels) or (length, channels), whole numbers, got {shape!r}."
        )
