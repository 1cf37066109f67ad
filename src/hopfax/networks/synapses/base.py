"""What a synapse is, and multiples of one."""

import abc
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import equinox as eqx
from jaxtyping import Array, Inexact, Scalar

from ..._internal.checks import require_number

Shape = tuple[int, ...]


class AbstractSynapse(eqx.Module):
    """An interaction energy between the layers named in `layers`. `0.5 * synapse` is a synapse too."""

    layers: eqx.AbstractVar[tuple[str, ...]]
    affine: eqx.AbstractVar[bool]  # affine in each activation, the others fixed: exact block minimisation
    clamped: eqx.AbstractVar[bool]  # left over from a synapse whose other end is clamped
    vanishes: eqx.AbstractVar[bool]  # zero whenever one of its activations is zero

    @abc.abstractmethod
    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        """Energy of one example, from the activations in the order of `layers`."""

    @abc.abstractmethod
    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`-∂E/∂g` for the activation `g` of the layer `name`: the input that the synapse gives it."""

    @abc.abstractmethod
    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Raise `ValueError` where the parameters do not fit the shapes of the layers."""

    @abc.abstractmethod
    def condition(self, known: Mapping[str, Array]) -> "AbstractSynapse":
        """The synapse that is left for the other layers once the activations in `known` are fixed."""

    def __rmul__(self, factor: float) -> "ScaledSynapse":
        return ScaledSynapse(self, factor)


class ScaledSynapse(AbstractSynapse):
    """`factor * synapse`. Raises: `ValueError` unless `factor` is positive."""

    synapse: AbstractSynapse
    factor: float

    def __check_init__(self):
        require_number("ScaledSynapse.factor", self.factor, lambda x: x > 0, "positive")

    @property
    def layers(self) -> tuple[str, ...]:
        return self.synapse.layers

    @property
    def affine(self) -> bool:
        return self.synapse.affine

    @property
    def clamped(self) -> bool:
        return self.synapse.clamped

    @property
    def vanishes(self) -> bool:
        return self.synapse.vanishes

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.factor * self.synapse(*activations)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.factor * self.synapse.drive(name, *activations)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.synapse.check(shapes)

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return self.factor * self.synapse.condition(known)


def require_shape(layers: tuple[str, ...], what: str, array: Array, expected: Shape) -> None:
    """Raises: `ValueError` unless `array` has the `expected` shape, naming `what` it is and its `layers`."""
    if tuple(array.shape) != tuple(expected):
        raise ValueError(
            f"the {what} on {' and '.join(map(repr, layers))} has shape {tuple(array.shape)}, "
            f"the layers need {tuple(expected)}; change the {what} or the layer sizes."
        )


def named(
    synapses: Mapping[str, AbstractSynapse] | Sequence[AbstractSynapse],
) -> OrderedDict[str, AbstractSynapse]:
    """By name: as given, else like "input-hidden", where a second one between the same layers gets a number."""
    if isinstance(synapses, Mapping):
        return OrderedDict(synapses)
    names: OrderedDict[str, AbstractSynapse] = OrderedDict()
    for synapse in synapses:
        if not isinstance(synapse, AbstractSynapse):
            raise ValueError(
                f"`synapses` must be synapses, such as `Dense(layers, weight)`, got {type(synapse).__name__}."
            )
        base = "-".join(synapse.layers)
        taken = sum(name == base or name.startswith(f"{base} ") for name in names)
        names[f"{base} {taken + 1}" if taken else base] = synapse
    return names
