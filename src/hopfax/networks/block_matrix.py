"""A network as one matrix over all its neurons, and back: the form of the papers' code for synchronous models."""

import itertools
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._internal.tree import tree_dtype
from ..lagrangians import AbstractElementwise
from .ham import HAM
from .layers import Layer
from .network import AbstractNetwork
from .synapses.base import AbstractSynapse
from .synapses.dense import Bias, Dense

INPUT = "input"


class BlockMatrix(eqx.Module):
    """`C = W ρ(s) + b + U ρ(x)`: the drive of all free neurons, layer after layer in one vector.

    Attributes:
        weight: `W`, symmetric, zero between neurons of one layer.
        input_weight: `U`, from the neurons of the input layer.
        bias: `b`.
        names: of the free layers, in the order of the vector.
        sizes: of these layers.
    Raises: `ValueError` for shapes that do not fit the sizes.
    Source: [goemaere2024], eq. 6 and Appendix B.
    """

    weight: Float[Array, "neurons neurons"]
    input_weight: Float[Array, "neurons inputs"]
    bias: Float[Array, " neurons"]
    names: tuple[str, ...] = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        neurons = sum(self.sizes)
        shapes = (self.weight.shape, self.input_weight.shape[:1], self.bias.shape)
        if shapes != ((neurons, neurons), (neurons,), (neurons,)):
            raise ValueError(
                f"`BlockMatrix(sizes={self.sizes})` has {neurons} neurons, but weight, input_weight and bias have "
                f"the shapes {self.weight.shape}, {self.input_weight.shape} and {self.bias.shape}."
            )

    @staticmethod
    def from_network(network: AbstractNetwork) -> "BlockMatrix":
        """The matrices of a network of `Dense` and `Bias` synapses, whose first layer is the input.

        Raises: `ValueError` for a synapse of another kind or a layer that is not flat.
        """
        _check_flat(network)
        input_name, *names = network.order
        sizes = tuple(network.layers[name].size for name in names)
        slices = dict(zip(names, _slices(sizes), strict=True))
        weight = np.zeros((sum(sizes), sum(sizes)), np.float64)
        input_weight = np.zeros((sum(sizes), network.layers[input_name].size), np.float64)
        bias = np.zeros(sum(sizes), np.float64)
        for synapse in network.synapses.values():
            _add(synapse, input_name, slices, weight, input_weight, bias)
        dtype = tree_dtype(network.synapses)
        cast = lambda array: jnp.asarray(array, dtype)
        return BlockMatrix(cast(weight), cast(input_weight), cast(bias), tuple(names), sizes)

    def to_ham(self, lagrangians: Mapping[str, AbstractElementwise], input_name: str = INPUT) -> HAM:
        """The HAM of these blocks. Blocks that are zero are left out, except between neighbouring layers.

        Args:
            lagrangians: name -> Lagrangian, of the input and of every free layer.
            input_name: of the input layer.
        Raises: `ValueError` where `weight` is not symmetric or joins neurons of one layer, naming the block, or
            where a Lagrangian is missing.
        """
        names = (input_name, *self.names)
        if missing := [name for name in names if name not in lagrangians]:
            raise ValueError(f"`lagrangians` lacks {missing}; the layers are {list(names)}.")
        sizes = (self.input_weight.shape[1], *self.sizes)
        layers = {name: Layer(size, lagrangians[name]) for name, size in zip(names, sizes, strict=True)}
        return HAM(layers, [*self._input_synapses(input_name), *self._synapses(), *self._biases()])

    def _input_synapses(self, input_name: str) -> list[Dense]:
        blocks = {name: self.input_weight[rows] for name, rows in self._slices().items()}
        first = self.names[0]
        joined = {name: block for name, block in blocks.items() if name == first or np.any(np.asarray(block))}
        return [Dense((input_name, name), block.T) for name, block in joined.items()]

    def _synapses(self) -> list[Dense]:
        _check_symmetric(self.weight, self._slices())
        neighbours = set(itertools.pairwise(self.names))
        blocks = {pair: self._block(*pair) for pair in itertools.combinations(self.names, 2)}
        joined = lambda pair, block: pair in neighbours or np.any(np.asarray(block))
        return [Dense(pair, block) for pair, block in blocks.items() if joined(pair, block)]

    def _biases(self) -> list[Bias]:
        return [Bias(name, self.bias[rows]) for name, rows in self._slices().items()]

    def _block(self, row: str, column: str) -> Array:
        slices = self._slices()
        return self.weight[slices[row], slices[column]]

    def _slices(self) -> dict[str, slice]:
        return dict(zip(self.names, _slices(self.sizes), strict=True))


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = list(itertools.accumulate(sizes))
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _add(
    synapse: AbstractSynapse, input_name: str, slices: Mapping[str, slice], weight, input_weight, bias
) -> None:
    """Add the parameters of a synapse to the arrays, in place."""
    match synapse:
        case Bias(layers=(layer,)) if layer == input_name:
            return  # the input is clamped, so its bias has no effect
        case Bias(layers=(layer,)):
            bias[slices[layer]] += np.asarray(synapse.bias)
        case Dense(layers=(a, b)) if input_name in (a, b):
            other, block = (b, synapse.weight.T) if a == input_name else (a, synapse.weight)
            input_weight[slices[other]] += np.asarray(block)
        case Dense(layers=(a, b)):
            weight[slices[a], slices[b]] += np.asarray(synapse.weight)
            weight[slices[b], slices[a]] += np.asarray(synapse.weight).T
        case _:
            raise ValueError(
                f"a `{type(synapse).__name__}` between {synapse.layers} is not a block of a matrix; use `Dense` and "
                "`Bias`."
            )


def _check_flat(network: AbstractNetwork) -> None:
    for name, layer in network.layers.items():
        if len(layer.shape) > 1:
            raise ValueError(
                f"layer {name!r} has shape {layer.shape}, but a block matrix needs flat layers; use "
                f"`Layer({layer.size}, ...)`."
            )


def _check_symmetric(weight: Array, slices: Mapping[str, slice]) -> None:
    matrix = np.asarray(weight)
    for row, column in itertools.combinations_with_replacement(slices, 2):
        block, mirror = matrix[slices[row], slices[column]], matrix[slices[column], slices[row]].T
        if row == column and np.any(block):
            raise ValueError(f"`weight` joins neurons of layer {row!r}; its diagonal blocks must be zero.")
        if not np.allclose(block, mirror, rtol=1e-6, atol=1e-6 * np.abs(matrix).max(initial=0)):
            worst = np.abs(block - mirror).max()
            raise ValueError(
                f"`weight` is not symmetric between {row!r} and {column!r} (off by {worst:.3g}); symmetrise it with "
                "(W + W.T) / 2 if that is meant."
            )
