"""Equinox modules as PyTorch modules: tensors are passed to JAX by DLPack, gradients are computed by JAX."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from .._internal.optional import needed
from .layer import as_function

torch = needed("`hopfax.interop.torch` needs PyTorch", "torch", "'hopfax[torch]'")


def _call(module: Any, x: Array) -> Array:
    return module(x)


class TorchModule(torch.nn.Module):
    """A PyTorch module that computes `y_i = call(module, x_i)` for each row `x_i` of a tensor.

    The weights are PyTorch parameters; gradients with respect to rows and weights are computed by JAX. Use it for a
    `hopfax.interop.EquilibriumLayer`, or for a `hopfax.ModernHopfield` with `call=ModernHopfield.read` or
    `ModernHopfield.update`. JAX and PyTorch must use the same device, and JAX computes in float32 unless
    `jax_enable_x64` is on. Save the weights by `state_dict`. Second derivatives, `torch.compile` and `torch.func` are
    not supported.

    Args:
        module: an Equinox module; its floating-point arrays are copied into parameters, named by their paths in it.
        call: the function of the module and one row.
    Raises: `ValueError` for a module without floating-point arrays; on import, `ImportError` without PyTorch.
    """

    def __init__(self, module: eqx.Module, call: Callable[[Any, Array], Array] = _call):
        torch.nn.Module.__init__(self)
        weights, _ = as_function(module)
        paths, structure = jax.tree_util.tree_flatten_with_path(weights)
        if not paths:
            raise ValueError(
                f"`TorchModule(module={type(module).__name__}(...))` has no floating-point arrays to train."
            )
        self._fixed = _Fixed(structure, eqx.filter(module, eqx.is_inexact_array, inverse=True), call)
        self._names = [_name(path) for path, _ in paths]
        for name, (_, array) in zip(self._names, paths, strict=True):
            self.register_parameter(name, torch.nn.Parameter(to_torch(array)))

    def forward(self, x: Any) -> Any:
        """`y` of shape (rows, ...) for `x` of shape (rows, ...)."""
        return _Apply.apply(self._fixed, x, *(getattr(self, name) for name in self._names))

    def module(self) -> eqx.Module:
        """The Equinox module with copies of the present weights."""
        arrays = [jnp.array(to_jax(getattr(self, name))) for name in self._names]
        return eqx.combine(jax.tree.unflatten(self._fixed.structure, arrays), self._fixed.rest)


class _Fixed:
    """What training does not change, and the compiled functions; shared by all copies of a `TorchModule`."""

    def __init__(self, structure: Any, rest: PyTree, call: Callable[[Any, Array], Array]):
        def rows(weights, x):
            return jax.vmap(lambda row: call(eqx.combine(weights, rest), row))(x)

        self.structure, self.rest = structure, rest
        self.forward = jax.jit(lambda weights, x: jax.vjp(rows, weights, x))
        self.backward = jax.jit(lambda vjp, cotangent: vjp(cotangent))

    def __deepcopy__(self, memo: dict) -> "_Fixed":
        return self


class _Apply(torch.autograd.Function):
    """The function with its derivative, for PyTorch: forward by JAX, backward by the vector-Jacobian product of JAX."""

    @staticmethod
    def forward(context, fixed, x, *parameters):
        weights = jax.tree.unflatten(fixed.structure, [to_jax(tensor) for tensor in parameters])
        y, context.residuals = fixed.forward(weights, to_jax(x))
        context.fixed = fixed
        # JAX may share the memory of these tensors: saving them makes PyTorch refuse in-place changes before backward.
        context.save_for_backward(x, *parameters)
        return to_torch(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        saved = context.saved_tensors
        weights, x = context.fixed.backward(context.residuals, to_jax(gradient))
        gradients = [x, *jax.tree.leaves(weights)]
        return None, *(to_torch(g).to(s.dtype) for g, s in zip(gradients, saved, strict=True))


def to_jax(tensor: Any) -> Array:
    """The tensor as a JAX array, sharing memory if possible."""
    return jnp.from_dlpack(tensor.detach().contiguous())


def to_torch(array: Array) -> Any:
    """The array as a tensor with its own memory: PyTorch changes tensors in place, and JAX arrays must not change."""
    return torch.from_dlpack(jax.block_until_ready(array)).clone()


def _name(path) -> str:
    """The path in the module, without dots, which PyTorch does not allow in names."""
    return jax.tree_util.keystr(path, simple=True, separator="__").replace(".", "_")
