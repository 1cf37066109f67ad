"""The convolution `y = K * x` and its two transposes, each of them fast also inside a compiled loop.

All three are partial gradients of one trilinear form `T(x, K, y) = ⟨y, K * x⟩`, so the derivative of each is another of
them. They are a JAX primitive of their own because XLA has a fast routine on CPUs for one order of axes only, and
brings convolutions into this order only outside of loops. The gradient in the kernel that `jax.lax` writes is then tens
of times slower inside a loop, and the one in the maps takes four times as long (`benchmarks/conv_loop.py`).
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.extend as jex
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

Role = Literal["x", "kernel", "y"]
ROLES: tuple[Role, ...] = ("x", "kernel", "y")


@dataclasses.dataclass(frozen=True)
class Moves:
    """How a kernel moves over maps, along each axis, and the sizes of maps and kernel along it."""

    strides: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int
    maps: tuple[int, ...]
    window: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """How many places the kernel has along each axis; less than 1 where it does not fit."""
        sizes = zip(self.maps, self.window, self.padding, self.strides, strict=True)
        return tuple((size + 2 * pad - width) // stride + 1 for size, width, pad, stride in sizes)


def convolve(x: Array, kernel: Array, moves: Moves) -> Array:
    """`K * x` for `x` of shape (examples, height, width, channels), or without the width, in the shape of `y`.

    `kernel` has the shape (height, width, channels of x / groups, channels of y).
    """
    return _partial_gradient(x, kernel, role="y", moves=moves)


def convolve_transposed(kernel: Array, y: Array, moves: Moves) -> Array:
    """The transpose of `convolve` in `x`: `Σ_i K[j + padding - stride i] y[i]`, in the shape of `x`."""
    return _partial_gradient(kernel, y, role="x", moves=moves)


def _partial_gradient(*others: Array, role: Role, moves: Moves) -> Array:
    """`∂T/∂role`, a bilinear function of the two others in the order of `ROLES`."""
    dtype = jnp.result_type(*others)
    return partial_gradient_p.bind(*(other.astype(dtype) for other in others), role=role, moves=moves)


def _by_lax(*others: Array, role: Role, moves: Moves) -> Array:
    """The partial gradient as `jax.lax` writes it, for accelerators and more than one group."""
    if role == "y":
        x, kernel = others
        return _lax_convolution(x, kernel, moves)
    if role == "x":
        kernel, y = others
        x = jnp.zeros((len(y), *moves.maps, kernel.shape[-2] * moves.groups), y.dtype)
        return jax.linear_transpose(lambda x: _lax_convolution(x, kernel, moves), x)(y)[0]
    x, y = others
    kernel = jnp.zeros((*moves.window, x.shape[-1] // moves.groups, y.shape[-1]), y.dtype)
    return jax.linear_transpose(lambda kernel: _lax_convolution(x, kernel, moves), kernel)(y)[0]


def _by_canonical_axes(*others: Array, role: Role, moves: Moves) -> Array:
    """The partial gradient as convolutions whose axes are (examples, space, channels) before XLA sees them."""
    if moves.groups > 1:
        return _by_lax(*others, role=role, moves=moves)
    if role == "y":
        x, kernel = others
        return _not_exchanged(x, kernel, [(pad, pad) for pad in moves.padding], strides=moves.strides)
    counts = others[1].shape[1:-1]
    reach = [stride * (count - 1) + 1 for stride, count in zip(moves.strides, counts, strict=True)]
    sizes = list(zip(moves.maps, moves.window, moves.padding, reach, strict=True))
    space = tuple(range(len(sizes)))
    if role == "x":
        kernel, y = others
        mirrored = jnp.flip(kernel, space).swapaxes(-1, -2)
        ends = [(width - 1 - pad, size - length + pad) for size, width, pad, length in sizes]
        return _not_exchanged(y, mirrored, ends, lhs_dilation=moves.strides)
    x, y = others
    ends = [(pad, width - 1 + length - size - pad) for size, width, pad, length in sizes]
    x, y = jnp.swapaxes(x, 0, -1), jnp.moveaxis(y, 0, -2)
    return jnp.moveaxis(_not_exchanged(x, y, ends, rhs_dilation=moves.strides), 0, -2)


def _not_exchanged(maps: Array, kernel: Array, ends, *, lhs_dilation=None, **others) -> Array:
    """The convolution of maps that may be smaller than the kernel.

    Where they are, XLA exchanges the two, and has no fast routine for the result. So the maps are extended by zeros to
    the size of the kernel, and `ends` become shorter. Behind a barrier XLA does not see that these zeros are padding.
    """
    short = [max(0, width - size) for size, width in zip(maps.shape[1:-1], kernel.shape[:-2], strict=True)]
    if any(short):
        zeros = jnp.pad(maps, [(0, 0), *((0, count) for count in short), (0, 0)])
        maps = jax.lax.optimization_barrier(zeros)
    dilations = lhs_dilation or (1,) * len(short)
    ends = [
        (low, high - count * apart) for (low, high), count, apart in zip(ends, short, dilations, strict=True)
    ]
    return _lax_convolve(maps, kernel, ends, lhs_dilation=lhs_dilation, **others)


def _lax_convolution(x: Array, kernel: Array, moves: Moves) -> Array:
    ends = [(pad, pad) for pad in moves.padding]
    return _lax_convolve(x, kernel, ends, strides=moves.strides, groups=moves.groups)


def _lax_convolve(x, kernel, ends, *, strides=None, groups=1, **dilation) -> Array:
    space = "HW"[-len(ends) :]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (1,) * len(ends) if strides is None else strides,
        ends,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
        **dilation,
    )


def _other_roles(role: Role) -> list[Role]:
    return [other for other in ROLES if other != role]


def _transpose(place: int, cotangent, *others, role: Role, moves: Moves) -> Array:
    """The transpose in the operand at `place`: the partial gradient in its role."""
    wanted = _other_roles(role)[place]
    values = {_other_roles(role)[1 - place]: others[1 - place], role: cotangent}
    operands = (values[other] for other in _other_roles(wanted))
    return _partial_gradient(*operands, role=wanted, moves=moves)


def _batch(operands, axes, *, role: Role, moves: Moves) -> tuple[Array, int]:
    """Examples of the new axis join the others; if the kernel or both maps have it, each example is done by itself."""
    batched = {name for name, axis in zip(_other_roles(role), axes, strict=True) if axis is not None}
    if role == "kernel" or "kernel" in batched:
        alone = functools.partial(_by_lax, role=role, moves=moves)
        return jax.vmap(alone, in_axes=tuple(axes))(*operands), 0
    value, axis = next((v, axis) for v, axis in zip(operands, axes, strict=True) if axis is not None)
    examples = jnp.moveaxis(value, axis, 0) if axis else value
    joined = examples.reshape(-1, *examples.shape[2:])
    operands = (joined if axis is not None else value for value, axis in zip(operands, axes, strict=True))
    result = partial_gradient_p.bind(*operands, role=role, moves=moves)
    return result.reshape(*examples.shape[:2], *result.shape[1:]), 0


def _shape(*others: ShapedArray, role: Role, moves: Moves) -> ShapedArray:
    first, second = others
    if role == "x":
        shape = (second.shape[0], *moves.maps, first.shape[-2] * moves.groups)
    elif role == "kernel":
        shape = (*moves.window, first.shape[-1] // moves.groups, second.shape[-1])
    else:
        shape = (first.shape[0], *moves.counts, second.shape[-1])
    return ShapedArray(shape, first.dtype)


partial_gradient_p = jex.core.Primitive("convolution_partial_gradient")
partial_gradient_p.def_impl(jax.jit(_by_lax, static_argnames=("role", "moves")))
partial_gradient_p.def_abstract_eval(_shape)
ad.defbilinear(partial_gradient_p, functools.partial(_transpose, 0), functools.partial(_transpose, 1))
batching.primitive_batchers[partial_gradient_p] = _batch
mlir.register_lowering(partial_gradient_p, mlir.lower_fun(_by_lax, multiple_results=False))
mlir.register_lowering(
    partial_gradient_p, mlir.lower_fun(_by_canonical_axes, multiple_results=False), platform="cpu"
)
