"""A network as one matrix over all its neurons, and back: how the papers' code writes synchronous models."""

import itertools
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..lagrangians import AbstractElementwise
from .ham import HAM
from .layers import Layer
from .network import AbstractNetwork
from .synapses.base import AbstractSynapse
from .synapses.dense import Bias, Dense

INPUT = "input"


class BlockMatrix(eqx.Module):
    """`C = W ρ(s) + b + U ρ(x)`: the drive of all free neurons at once, layer after layer in one vector.

    Attributes:
        weight: `W`, symmetric, zero between neurons of one layer.
        input_weight: `U`, from the neurons of the input layer.
        bias: `b`.
        names, sizes: of the free layers, in their order in the vector.
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
                f"`BlockMatrix(sizes={self.sizes})` has {neurons} neurons; weight, input_weight and bias have shapes "
                f"{self.weight.shape}, {self.input_weight.shape} and {self.bias.shape}."
            )

    @staticmethod
    def of(network: AbstractNetwork) -> "BlockMatrix":
        """The blocks of a network of `Dense` and `Bias` synapses, whose first layer is the input.

        Raises: `ValueError` for a synapse of another kind or a layer that is not flat.
        """
        names = network.order[1:]
        _check_flat(network)
        sizes = tuple(network.layers[name].size for name in names)
        places = dict(zip(names, _slices(sizes), strict=True))
        weight = np.zeros((sum(sizes), sum(sizes)), np.float64)
        inputs = np.zeros((sum(sizes), network.layers[network.order[0]].size), np.float64)
        bias = np.zeros(sum(sizes), np.float64)
        for synapse in network.synapses.values():
            _add(synapse, network.order[0], places, weight, inputs, bias)
        dtype = next(s.weight.dtype for s in network.synapses.values() if isinstance(s, Dense))
        cast = lambda array: jnp.asarray(array, dtype)
        return BlockMatrix(cast(weight), cast(inputs), cast(bias), names, sizes)

    def split(self, lagrangians: Mapping[str, AbstractElementwise], input_name: str = INPUT) -> HAM:
        """The HAM of these blocks; those that are zero, but for the ones between neighbours, are no synapses.

        Args: `lagrangians` of the input and of every free layer, by name.
        Raises: `ValueError` where `weight` is not symmetric or joins neurons of one layer, naming the block, or
            where a Lagrangian is missing.
        """
        every = (input_name, *self.names)
        if missing := [name for name in every if name not in lagrangians]:
            raise ValueError(f"`lagrangians` has none for {missing}; the layers are {list(every)}.")
        sizes = (self.input_weight.shape[1], *self.sizes)
        layers = {name: Layer(size, lagrangians[name]) for name, size in zip(every, sizes, strict=True)}
        return HAM(layers, [*self._input_synapses(input_name), *self._synapses(), *self._biases()])

    def _input_synapses(self, input_name: str) -> list[Dense]:
        blocks = {name: self.input_weight[place] for name, place in self._places().items()}
        joined = {name: b for name, b in blocks.items() if name == self.names[0] or np.any(np.asarray(b))}
        return [Dense((input_name, name), block.T) for name, block in joined.items()]

    def _synapses(self) -> list[Dense]:
        _check_symmetric(self.weight, self._places())
        neighbours = set(itertools.pairwise(self.names))
        found = []
        for pair in itertools.combinations(self.names, 2):
            block = self._block(*pair)
            if pair in neighbours or np.any(np.asarray(block)):
                found.append(Dense(pair, block))
        return found

    def _biases(self) -> list[Bias]:
        return [Bias(name, self.bias[place]) for name, place in self._places().items()]

    def _block(self, row: str, column: str) -> Array:
        places = self._places()
        return self.weight[places[row], places[column]]

    def _places(self) -> dict[str, slice]:
        return dict(zip(self.names, _slices(self.sizes), strict=True))


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = list(itertools.accumulate(sizes))
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _add(synapse: AbstractSynapse, given: str, places: Mapping[str, slice], weight, inputs, bias) -> None:
    """The synapse's entries into the arrays, in place."""
    match synapse:
        case Bias(layers=(layer,)) if layer == given:
            return  # it moves nothing: its layer is clamped
        case Bias(layers=(layer,)):
            bias[places[layer]] += np.asarray(synapse.bias)
        case Dense(layers=(a, b)) if given in (a, b):
            other, block = (b, synapse.weight.T) if a == given else (a, synapse.weight)
            inputs[places[other]] += np.asarray(block)
        case Dense(layers=(a, b)):
            weight[places[a], places[b]] += np.asarray(synapse.weight)
            weight[places[b], places[a]] += np.asarray(synapse.weight).T
        case _:
            raise ValueError(
                f"a `{type(synapse).__name__}` between {synapse.layers} is no block of a matrix; only `Dense` and "
                "`Bias` are."
            )


def _check_flat(network: AbstractNetwork) -> None:
    for name, layer in network.layers.items():
        if len(layer.shape) > 1:
            raise ValueError(f"layer {name!r} has shape {layer.shape}; one matrix needs flat layers.")


def _check_symmetric(weight: Array, places: Mapping[str, slice]) -> None:
    matrix = np.asarray(weight)
    for row, column in itertools.combinations_with_replacement(places, 2):
        block, mirror = matrix[places[row], places[column]], matrix[places[column], places[row]].T
        if row == column and np.any(block):
            raise ValueError(f"`weight` joins neurons of layer {row!r}; its diagonal blocks must be zero.")
        if not np.allclose(block, mirror, rtol=1e-6, atol=1e-6 * np.abs(matrix).max(initial=0)):
            worst = np.abs(block - mirror).max()
            raise ValueError(
                f"`weight` is not symmetric between {row!r} and {column!r} (off by {worst:.3g}); symmetrise it with "
                "(W + W.T) / 2 if that is meant."
            )
