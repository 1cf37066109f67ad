"""An equilibrium as one layer of other models: in Equinox as it is, elsewhere as a function of its weights."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

from ..gradients.ep import EquilibriumPropagation
from ..method import Method
from ..networks.network import AbstractNetwork
from ..relax import relax


class EquilibriumLayer(eqx.Module):
    """`y = g_read(s*)`: the activation of the layer `read` at equilibrium, with the layer `clamp` held at `x`.

    One example at a time, for `jax.vmap`; a batch with one leading axis works too. It is differentiated as
    `method.gradient` says, with respect to weights and `x`.

    Args:
        model: any HAM or CHN.
        clamp, read: names of two of its layers.
        method: how it is relaxed and differentiated.
    Raises: `ValueError` for layers that are not there or the same, and for equilibrium propagation, which
        differentiates a cost and no layer: that is `hopfax.objective`.
    """

    model: AbstractNetwork
    clamp: str = eqx.field(static=True, default="input")
    read: str = eqx.field(static=True, default="output")
    method: Method = Method()

    def __check_init__(self):
        for argument, name in (("clamp", self.clamp), ("read", self.read)):
            if name not in self.model.order:
                raise ValueError(
                    f"`EquilibriumLayer({argument}={name!r})` is no layer of the model; those are "
                    f"{list(self.model.order)}."
                )
        if self.clamp == self.read:
            raise ValueError(f"`EquilibriumLayer(read={self.read!r})` is what it holds; read another layer.")
        if isinstance(self.method.gradient, EquilibriumPropagation):
            raise ValueError(
                "`EquilibriumLayer(method=...)` cannot have the gradient `EquilibriumPropagation`, which needs a cost; "
                "use `hopfax.objective`, or another gradient such as `Implicit()`."
            )

    def __call__(
        self, x: Float[Array, "*batch_and_neurons"], *, key: Key[Array, ""] | None = None
    ) -> Float[Array, "..."]:
        """`y` of `x`. `key` is not used; `eqx.nn.Sequential` hands one to every layer."""
        return relax(self.model, {self.clamp: x}, method=self.method).activation[self.read]


def as_function(module: eqx.Module) -> tuple[PyTree, Callable[..., Any]]:
    """`weights, apply` with `apply(weights, *inputs) == module(*inputs)`, for libraries that keep weights themselves.

    `weights` are the module's floating arrays in a tree of its form; all else stays in `apply`, which is pure.
    """
    weights, rest = eqx.partition(module, eqx.is_inexact_array)
    call: Any = lambda weights, *inputs: eqx.combine(weights, rest)(*inputs)
    return weights, call
