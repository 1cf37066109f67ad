"""Modules of hopfax as modules of PyTorch: tensors go to JAX through DLPack, gradients come from JAX."""

# Where PyTorch is not installed, pyright takes `torch` for this very file.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import torch  # pyright: ignore[reportMissingImports]
from jaxtyping import Array, PyTree

from .layer import as_function


def _itself(module: Any, x: Array) -> Array:
    return module(x)


class Bridge(torch.nn.Module):
    """`y_i = call(module, x_i)` for each row `x_i` of a tensor; weights are parameters of PyTorch.

    For a `hopfax.interop.EquilibriumLayer` as it is; for a `hopfax.ModernHopfield` with `call=ModernHopfield.read` or
    `ModernHopfield.update`. Gradients with respect to rows and weights are JAX's. JAX and PyTorch must have the same
    device, and JAX computes in float32 unless its `jax_enable_x64` is on. Save it by its `state_dict`. Derivatives of
    second order, `torch.compile` and `torch.func` do not go through it.

    Args:
        module: an Equinox module; its floating arrays are copied into parameters, named after their place in it.
        call: of the module and one row.
    Raises: `ValueError` for a module without floating arrays.
    """

    def __init__(self, module: eqx.Module, call: Callable[[Any, Array], Array] = _itself):
        torch.nn.Module.__init__(self)
        weights, _ = as_function(module)
        paths, form = jax.tree_util.tree_flatten_with_path(weights)
        if not paths:
            raise ValueError(
                f"`Bridge(module={type(module).__name__}(...))` has no floating arrays to train."
            )
        self._fixed = _Fixed(form, eqx.filter(module, eqx.is_inexact_array, inverse=True), call)
        self._names = [_name(path) for path, _ in paths]
        for name, (_, array) in zip(self._names, paths, strict=True):
            self.register_parameter(name, torch.nn.Parameter(to_torch(array)))

    def forward(self, x: Any) -> Any:
        """`y` of shape (rows, ...) for `x` of shape (rows, ...)."""
        return _Apply.apply(self._fixed, x, *(getattr(self, name) for name in self._names))

    def module(self) -> eqx.Module:
        """The module with the weights as they are now, in arrays of their own."""
        arrays = [jnp.array(to_jax(getattr(self, name))) for name in self._names]
        return eqx.combine(jax.tree.unflatten(self._fixed.form, arrays), self._fixed.rest)


class _Fixed:
    """What no training changes, and the compiled functions: shared by all copies of a bridge."""

    def __init__(self, form: Any, rest: PyTree, call: Callable[[Any, Array], Array]):
        def rows(weights, x):
            return jax.vmap(lambda row: call(eqx.combine(weights, rest), row))(x)

        self.form, self.rest = form, rest
        self.forward = jax.jit(lambda weights, x: jax.vjp(rows, weights, x))
        self.pull = jax.jit(lambda pull, cotangent: pull(cotangent))

    def __deepcopy__(self, memo: dict) -> "_Fixed":
        return self


class _Apply(torch.autograd.Function):
    """What PyTorch differentiates: JAX's function forward, its pull-back backward."""

    @staticmethod
    def forward(context, fixed, x, *parameters):
        weights = jax.tree.unflatten(fixed.form, [to_jax(tensor) for tensor in parameters])
        y, context.residuals = fixed.forward(weights, to_jax(x))
        context.fixed = fixed
        # JAX may hold their memory: with them saved, PyTorch refuses a change in place before the backward pass.
        context.save_for_backward(x, *parameters)
        return to_torch(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        saved = context.saved_tensors
        weights, x = context.fixed.pull(context.residuals, to_jax(gradient))
        arrays = [x, *jax.tree.leaves(weights)]
        return None, *(to_torch(a).to(s.dtype) for a, s in zip(arrays, saved, strict=True))


def to_jax(tensor: Any) -> Array:
    """The tensor as an array, in the same memory where that is possible."""
    return jnp.from_dlpack(tensor.detach().contiguous())


def to_torch(array: Array) -> Any:
    """The array as a tensor in memory of its own: PyTorch changes tensors in place, and JAX counts on its arrays."""
    return torch.from_dlpack(jax.block_until_ready(array)).clone()


def _name(path) -> str:
    """The place in the module, without the dots that PyTorch reserves."""
    return jax.tree_util.keystr(path, simple=True, separator="__").replace(".", "_")
