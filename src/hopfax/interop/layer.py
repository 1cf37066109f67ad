"""An equilibrium as a layer of other models: an Equinox module, or a function of its weights for other libraries."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

from ..method import Method
from ..networks.network import AbstractNetwork
from ..relax import relax


class EquilibriumLayer(eqx.Module):
    """`y = g_read(s*)`: the activation of the layer `read` at equilibrium, with the layer `clamp` clamped to `x`.

    `x` is one example, for `jax.vmap`, or a batch with one leading axis. `method.gradient` differentiates `y` with
    respect to the weights and `x`.

    Args:
        model: a HAM or CHN.
        clamp, read: the names of two of its layers.
        method: how the model is relaxed and differentiated.
    Raises: `ValueError` for unknown or equal layers.
    """

    model: AbstractNetwork
    clamp: str = eqx.field(static=True, default="input")
    read: str = eqx.field(static=True, default="output")
    method: Method = Method()

    def __check_init__(self):
        for argument, name in (("clamp", self.clamp), ("read", self.read)):
            if name not in self.model.order:
                raise ValueError(
                    f"`EquilibriumLayer({argument}={name!r})` is not a layer of the model; its layers are "
                    f"{list(self.model.order)}."
                )
        if self.clamp == self.read:
            raise ValueError(
                f"`EquilibriumLayer(read={self.read!r})` is the clamped layer; read another layer."
            )

    def __call__(
        self, x: Float[Array, "*batch_and_neurons"], *, key: Key[Array, ""] | None = None
    ) -> Float[Array, "..."]:
        """`y` for the input `x`. `key` is not used; `eqx.nn.Sequential` passes one to every layer."""
        return relax(self.model, {self.clamp: x}, method=self.method).activation[self.read]


def as_function(module: eqx.Module) -> tuple[PyTree, Callable[..., Any]]:
    """`weights, apply` with `apply(weights, *inputs) == module(*inputs)`, for libraries that store weights themselves.

    `weights` is a copy of the module with its floating-point arrays only; `apply` is a pure function that holds the
    rest.
    """
    weights, rest = eqx.partition(module, eqx.is_inexact_array)
    call: Any = lambda weights, *inputs: eqx.combine(weights, rest)(*inputs)
    return weights, call
