"""Any scalar function of activations as a synapse."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Scalar

from ..._internal.tree import tree_dtype
from .base import AbstractSynapse, Constant, Field, Shape


class Interaction(AbstractSynapse):
    """`E = function(g_1, g_2, ...)`: any scalar function of the activations of `layers`, for one example.

    Args:
        layers: the names, in the order of the arguments.
        function: may be an `eqx.Module`, whose arrays are trained.
        affine: whether the function is affine in each activation while the others are fixed, or the names of the
            layers in whose activations it is. Such layers can be minimised exactly.
        clamped: whether it is what is left of an interaction that has a clamped layer.
    Raises: `ValueError` where `affine` names another layer.
    """

    layers: tuple[str, ...] = eqx.field(static=True)
    function: Callable[..., Scalar]
    affine: bool | tuple[str, ...] = eqx.field(static=True, default=False)
    clamped: bool = eqx.field(static=True, default=False)
    vanishes: ClassVar[bool] = False

    def __check_init__(self):
        names = () if isinstance(self.affine, bool) else self.affine
        # A string would be searched for parts of names.
        if not isinstance(names, tuple) or not set(names) <= set(self.layers):
            raise ValueError(
                f"`Interaction(affine={self.affine!r})` must be True, False or a tuple of names among {self.layers}."
            )

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.function(*activations)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        index, holomorphic = self.layers.index(name), any(map(jnp.iscomplexobj, activations))
        negated = lambda g: -self.function(*activations[:index], g, *activations[index + 1 :])
        return jax.grad(negated, holomorphic=holomorphic)(activations[index])

    def affine_in(self, name: str) -> bool:
        return self.affine if isinstance(self.affine, bool) else name in self.affine

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
                f"the function that joins {self.layers} must return one scalar energy, but it returns {value}; sum it."
            )

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        free = [name for name in self.layers if name not in known]
        fixed = tuple(known.get(name) for name in self.layers)
        if not free:
            return Constant(self.function(*fixed))
        function = _Partial(self.function, fixed)
        affine = tuple(name for name in free if self.affine_in(name))
        left = Interaction(layers=tuple(free), function=function, affine=affine, clamped=True)
        last = free[-1]
        if len(free) > 1 or not left.affine_in(last):
            return left
        zeros = jnp.zeros(shapes[last], tree_dtype(dict(known)))
        return Field(last, left.drive(last, zeros).reshape(-1), left(zeros))


class _Partial(eqx.Module):
    """A function with some of its arguments fixed; None marks the others."""

    function: Callable[..., Scalar]
    fixed: tuple[Array | None, ...]

    def __call__(self, *free: Array) -> Scalar:
        arguments = iter(free)
        return self.function(*(next(arguments) if value is None else value for value in self.fixed))
