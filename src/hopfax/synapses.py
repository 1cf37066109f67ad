"""Synapses: scalar interaction energies of the activations that they join.

The total drive of a layer is minus the gradient of their sum with respect to its activation. A function of your own
becomes a synapse through `Interaction`, which takes that gradient by autodiff; the others say it in closed form,
which is traced many times faster.
"""

import abc
import functools as ft
import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Scalar

from ._checks import floating

Shape = tuple[int, ...]


class AbstractSynapse(eqx.Module):
    """An interaction energy between the layers named in `layers`."""

    layers: eqx.AbstractVar[tuple[str, ...]]
    affine: eqx.AbstractVar[bool]  # affine in each activation, the others fixed: exact block minimisation
    clamped: eqx.AbstractVar[bool]  # left over from a synapse whose other end is clamped
    vanishes: eqx.AbstractVar[bool]  # zero whenever one of its activations is zero

    @abc.abstractmethod
    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        """Energy of one example, from the activations in the order of `layers`."""

    @abc.abstractmethod
    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`-∂E/∂g` of one of its `layers`: what the synapse exerts on it. Of the shape of that activation."""

    @abc.abstractmethod
    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Raise `ValueError` where the parameters do not fit the shapes of the layers."""

    @abc.abstractmethod
    def condition(self, known: Mapping[str, Array]) -> "AbstractSynapse":
        """The synapse that is left for the other layers once the activations in `known` are fixed."""


class Dense(AbstractSynapse):
    """`E = -g_aᵀ W g_b`: every neuron of one layer with every neuron of another, both ways with one matrix.

    Args: `layers` the two names; `weight` of shape (neurons of a, neurons of b).
    Source: [goemaere2024], eq. 3, one block of `W`.
    """

    layers: tuple[str, str] = eqx.field(static=True)
    weight: Float[Array, "a b"] = eqx.field(converter=ft.partial(floating, "weight"))
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    def __check_init__(self):
        if isinstance(self.layers, str) or len(self.layers) != 2:
            raise ValueError(
                f"`Dense(layers={self.layers!r})` joins two layers, got {len(self.layers)}; name two."
            )

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        a, b = (g.reshape(-1) for g in activations)
        return -jnp.sum((a @ self.weight.astype(a.dtype)) * b)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g, other) = activations if name == self.layers[0] else activations[::-1]
        weight = self.weight.T if name == self.layers[0] else self.weight
        return (other.reshape(-1) @ weight.astype(g.dtype)).reshape(g.shape)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        expected = tuple(math.prod(shapes[name]) for name in self.layers)
        _require_shape(self.layers, "weight", self.weight, expected)

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        a, b = self.layers
        if a in known and b in known:
            return Constant(self(known[a], known[b]))
        g, weight = (known[a], self.weight) if a in known else (known[b], self.weight.T)
        return Field(b if a in known else a, g.reshape(-1) @ weight.astype(g.dtype))


class Bias(AbstractSynapse):
    """`E = -bᵀ g`. Args: `layer` the name; `bias` of the layer's shape. Source: [goemaere2024], eq. 3."""

    layers: tuple[str, ...] = eqx.field(static=True)
    bias: Float[Array, "..."]
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    def __init__(self, layer: str, bias: Float[Array, "..."]):
        self.layers, self.bias = (layer,), floating("bias", bias)

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        (g,) = activations
        return -jnp.sum(self.bias.astype(g.dtype) * g)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g,) = activations
        return self.bias.astype(g.dtype)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        _require_shape(self.layers, "bias", self.bias, shapes[self.layers[0]])

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return Constant(self(known[self.layers[0]]))


class Interaction(AbstractSynapse):
    """`E = function(g_1, g_2, ...)`: any scalar function of the activations of `layers`, one example at a time.

    `function` may be an `eqx.Module` whose arrays are trained. Say `affine=True` if it is affine in each
    activation while the others are fixed; then a whole colour of layers can be minimised exactly.
    """

    layers: tuple[str, ...] = eqx.field(static=True)
    function: Callable[..., Scalar]
    affine: bool = eqx.field(static=True, default=False)
    clamped: bool = eqx.field(static=True, default=False)
    vanishes: ClassVar[bool] = False

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.function(*activations)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        place, analytic = self.layers.index(name), any(map(jnp.iscomplexobj, activations))
        with_one = lambda g: -self.function(*activations[:place], g, *activations[place + 1 :])
        return jax.grad(with_one, holomorphic=analytic)(activations[place])

    def check(self, shapes: Mapping[str, Shape]) -> None:
        examples = [eqx.filter_eval_shape(jnp.zeros, shapes[name]) for name in self.layers]
        try:
            value = eqx.filter_eval_shape(self.function, *examples)
        except TypeError as error:
            raise ValueError(
                f"the function that joins {self.layers} cannot be called with their activations: {error}."
            ) from error
        if getattr(value, "shape", None) != ():
            raise ValueError(
                f"the function that joins {self.layers} must return one scalar energy, it returns {value}; sum it."
            )

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        free = tuple(name for name in self.layers if name not in known)
        held = tuple(known.get(name) for name in self.layers)
        if not free:
            return Constant(self.function(*held))
        function = _Partial(self.function, held)
        return Interaction(layers=free, function=function, affine=self.affine, clamped=True)


class Field(AbstractSynapse):
    """`E = -hᵀ g`: what clamped layers exert on a free one. Made by `condition`, one value per example."""

    layers: tuple[str, ...] = eqx.field(static=True)
    field: Inexact[Array, "..."]
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = True
    vanishes: ClassVar[bool] = True

    def __init__(self, layer: str, field: Inexact[Array, "..."]):
        self.layers, self.field = (layer,), field

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        (g,) = activations
        return -jnp.sum(self.field.astype(g.dtype) * g.reshape(-1))

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g,) = activations
        return self.field.astype(g.dtype).reshape(g.shape)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        _require_shape(self.layers, "field", self.field, (math.prod(shapes[self.layers[0]]),))

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return Constant(self(known[self.layers[0]]))


class Constant(AbstractSynapse):
    """An energy that no free layer changes: what clamped layers hold among themselves."""

    energy: Scalar
    layers: ClassVar[tuple[str, ...]] = ()
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = True
    vanishes: ClassVar[bool] = False

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.energy

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        raise ValueError(f"a constant energy drives no layer, and so not {name!r}.")

    def check(self, shapes: Mapping[str, Shape]) -> None:
        return

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return self


class _Partial(eqx.Module):
    """A function with some of its arguments filled in."""

    function: Callable[..., Scalar]
    held: tuple[Array | None, ...]

    def __call__(self, *free: Array) -> Scalar:
        rest = iter(free)
        return self.function(*(next(rest) if value is None else value for value in self.held))


def _require_shape(layers: tuple[str, ...], what: str, array: Array, expected: Shape) -> None:
    if tuple(array.shape) != tuple(expected):
        raise ValueError(
            f"the {what} on {' and '.join(map(repr, layers))} has shape {tuple(array.shape)}, "
            f"the layers need {tuple(expected)}; change the {what} or the layer sizes."
        )


def named(synapses: Mapping[str, AbstractSynapse] | Sequence[AbstractSynapse]) -> dict[str, AbstractSynapse]:
    """By name: as given, else like "input-hidden", where a second one between the same layers gets a number."""
    if isinstance(synapses, Mapping):
        return dict(synapses)
    names: dict[str, AbstractSynapse] = {}
    for synapse in synapses:
        if not isinstance(synapse, AbstractSynapse):
            raise ValueError(
                f"`synapses` must be synapses, such as `Dense(layers, weight)`, got {type(synapse).__name__}."
            )
        base = "-".join(synapse.layers)
        taken = sum(name == base or name.startswith(f"{base} ") for name in names)
        names[f"{base} {taken + 1}" if taken else base] = synapse
    return names
