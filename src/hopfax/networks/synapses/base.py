"""What a synapse is, multiples of one, and what is left of one when some of its layers are clamped."""

import abc
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence, Set
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Scalar

from ..._internal.checks import require_number

Shape = tuple[int, ...]


class AbstractSynapse(eqx.Module):
    """An interaction energy `E(g_1, g_2, ...)` of the activations of `layers`. `0.5 * synapse` is a synapse too."""

    layers: eqx.AbstractVar[tuple[str, ...]]
    """The names of the layers, in the order of the arguments."""

    clamped: eqx.AbstractVar[bool]
    """Whether it is what is left of a synapse that has a clamped layer."""

    vanishes: eqx.AbstractVar[bool]
    """Whether `E` is zero whenever one of the activations is zero."""

    @abc.abstractmethod
    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        """The energy of one example."""

    @abc.abstractmethod
    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`-∂E/∂g` for the activation `g` of the layer `name`, in its shape: the input that the synapse gives it."""

    @abc.abstractmethod
    def affine_in(self, name: str) -> bool:
        """Whether `E` is affine in the activation of the layer `name` while the others are fixed.

        A layer in which all synapses are affine is minimised exactly, given the others.
        """

    def concave_in(self, name: str, nonnegative: Set[str]) -> bool:
        """Whether `E` is concave in the activation of `name`, if the activations of `nonnegative` are not negative.

        Then the step of the layer to its drive minimises an upper bound of the energy, so it cannot raise it.
        """
        return self.affine_in(name)

    @abc.abstractmethod
    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Raises: `ValueError` where the parameters do not fit the shapes of the layers."""

    @abc.abstractmethod
    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> "AbstractSynapse":
        """The synapse of the other layers that is left when the activations in `known` are fixed.

        `shapes` has the shape of every layer. What is affine in the one free layer that is left becomes a `Field`.
        """

    def __rmul__(self, factor: float) -> "ScaledSynapse":
        return ScaledSynapse(self, factor)


class AbstractWrappedSynapse(AbstractSynapse):
    """A synapse that is made of another one, with the same layers, and affine or concave in the same ones."""

    synapse: eqx.AbstractVar[AbstractSynapse]

    @property
    def layers(self) -> tuple[str, ...]:
        return self.synapse.layers

    @property
    def clamped(self) -> bool:
        return self.synapse.clamped

    def affine_in(self, name: str) -> bool:
        return self.synapse.affine_in(name)

    def concave_in(self, name: str, nonnegative: Set[str]) -> bool:
        return self.synapse.concave_in(name, nonnegative)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.synapse.check(shapes)


class ScaledSynapse(AbstractWrappedSynapse):
    """`factor * synapse`. Raises: `ValueError` unless `factor` is positive."""

    synapse: AbstractSynapse
    factor: float

    def __init__(self, synapse: AbstractSynapse, factor: float):
        self.synapse, self.factor = synapse, factor

    def __check_init__(self):
        require_number("ScaledSynapse.factor", self.factor, lambda x: x > 0, "positive")

    @property
    def vanishes(self) -> bool:
        return self.synapse.vanishes

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.factor * self.synapse(*activations)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.factor * self.synapse.drive(name, *activations)

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        return self.factor * self.synapse.condition(known, shapes)


class Field(AbstractSynapse):
    """`E = c - hᵀ g`: what clamped layers exert on a free one. Made by `condition`, for one example.

    Args:
        layer: the name of the free layer.
        field: `h`, flat, with one entry for each neuron.
        constant: `c`; None for zero.
    """

    layers: tuple[str, ...] = eqx.field(static=True)
    field: Inexact[Array, "..."]
    constant: Scalar | None
    clamped: ClassVar[bool] = True

    def __init__(self, layer: str, field: Inexact[Array, "..."], constant: Scalar | None = None):
        self.layers, self.field, self.constant = (layer,), field, constant

    @property
    def vanishes(self) -> bool:
        return self.constant is None

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        (g,) = activations
        energy = -jnp.sum(self.field.astype(g.dtype) * g.reshape(-1))
        return energy if self.constant is None else energy + self.constant

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g,) = activations
        return self.field.astype(g.dtype).reshape(g.shape)

    def affine_in(self, name: str) -> bool:
        return True

    def check(self, shapes: Mapping[str, Shape]) -> None:
        require_shape(self.layers, "field", self.field, (math.prod(shapes[self.layers[0]]),))

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        return Constant(self(known[self.layers[0]]))


class Constant(AbstractSynapse):
    """A constant energy: that of clamped layers and of the synapses among them."""

    energy: Scalar
    layers: ClassVar[tuple[str, ...]] = ()
    clamped: ClassVar[bool] = True
    vanishes: ClassVar[bool] = False

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.energy

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        raise ValueError(f"a constant energy does not drive any layer, so not {name!r} either.")

    def affine_in(self, name: str) -> bool:
        return True

    def check(self, shapes: Mapping[str, Shape]) -> None:
        return

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        return self


def require_pair(label: str, layers: tuple[str, ...]) -> None:
    """Raises: `ValueError` unless `layers` names two layers; `label` says of which synapse."""
    names = () if isinstance(layers, str) else tuple(layers)
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(f"`{label}(layers={layers!r})` joins two layers, got {len(layers)}; name two.")


def require_shape(layers: tuple[str, ...], label: str, array: Array, expected: Shape) -> None:
    """Raises: `ValueError` unless `array` has the shape `expected`; `label` says what it is, on which `layers`."""
    if tuple(array.shape) != tuple(expected):
        raise ValueError(
            f"the {label} on {' and '.join(map(repr, layers))} has shape {tuple(array.shape)}, but the layers need "
            f"{tuple(expected)}; change the {label} or the layer sizes."
        )


def name_synapses(
    synapses: Mapping[str, AbstractSynapse] | Sequence[AbstractSynapse],
) -> OrderedDict[str, AbstractSynapse]:
    """The synapses by name. Those of a sequence are named after their layers, such as "input-hidden".

    A further synapse between the same layers gets a number. Raises: `ValueError` for an object of another kind.
    """
    if isinstance(synapses, Mapping):
        return OrderedDict(synapses)
    names: OrderedDict[str, AbstractSynapse] = OrderedDict()
    for synapse in synapses:
        if not isinstance(synapse, AbstractSynapse):
            raise ValueError(
                f"`synapses` must be synapses, such as `Dense(layers, weight)`, got {type(synapse).__name__}."
            )
        base = "-".join(synapse.layers)
        count = sum(name == base or name.startswith(f"{base} ") for name in names)
        names[f"{base} {count + 1}" if count else base] = synapse
    return names
