"""Convolutional synapses, with pooling or without."""

import abc
import itertools
import math
from collections.abc import Iterable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Inexact

from ..._internal.checks import as_floating, is_integer, require_kind, require_number
from .base import Shape
from .convolution_primitive import Moves, convolve, convolve_transposed
from .transform import AbstractTransform

Sizes = int | tuple[int, ...]


class AbstractPool(eqx.Module):
    """What becomes of the elements of a window. `window` and `stride` have one number for all axes or one for each.

    The stride is the window where it is None. Elements past the last whole window take no part.
    """

    window: eqx.AbstractVar[Sizes]
    stride: eqx.AbstractVar[Sizes | None]

    linear: eqx.AbstractVar[bool]
    """Whether the pooled value is linear in the elements. It is convex in any case."""

    @abc.abstractmethod
    def reduce(self, elements: Inexact[Array, "window ..."]) -> Inexact[Array, "..."]:
        """The pooled value of the elements of a window, which are along the first axis; zero if all are zero."""

    def __check_init__(self):
        _require_sizes(f"{type(self).__name__}.window", self.window, 1)
        if self.stride is not None:
            _require_sizes(f"{type(self).__name__}.stride", self.stride, 1)

    def __call__(self, maps: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """The pooled maps of one example, with the channels last."""
        windows, strides = self.sizes(maps.ndim - 1)
        counts = self.counts(maps.shape[:-1])
        starts = itertools.product(*map(range, windows))
        shifted = [
            maps[
                tuple(
                    slice(start, start + stride * (count - 1) + 1, stride)
                    for start, stride, count in zip(at, strides, counts, strict=True)
                )
            ]
            for at in starts
        ]
        return self.reduce(jnp.stack(shifted))

    def sizes(self, dimensions: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Window and stride along each of `dimensions` axes."""
        stride = self.window if self.stride is None else self.stride
        return _spread(self.window, dimensions), _spread(stride, dimensions)

    def counts(self, shape: Shape) -> Shape:
        """How many windows fit along each axis."""
        pairs = zip(shape, *self.sizes(len(shape)), strict=True)
        return tuple((size - window) // stride + 1 for size, window, stride in pairs)


class AveragePool(AbstractPool):
    """The mean of the elements of a window. After a convolution the two are one convolution with a blurred kernel."""

    window: Sizes = eqx.field(static=True, default=2)
    stride: Sizes | None = eqx.field(static=True, default=None)
    linear: ClassVar[bool] = True

    def reduce(self, elements):
        return jnp.mean(elements, axis=0)


class MaxPool(AbstractPool):
    """The largest element of a window. It is convex; where several are largest they share the gradient.

    If the neuron that gets the pooled value has a negative activation, a minimum of the energy may lie where elements
    tie, and there no state equals its drive. Use `SoftPool` with signed neurons.
    """

    window: Sizes = eqx.field(static=True, default=2)
    stride: Sizes | None = eqx.field(static=True, default=None)
    linear: ClassVar[bool] = False

    def reduce(self, elements):
        return jnp.max(elements, axis=0)


class SoftPool(AbstractPool):
    """`log(mean(exp(beta x))) / beta` over a window: convex, and holomorphic, so it serves for complex states.

    It is the mean for small `beta` and the largest element for large `beta`.

    Args:
        beta: positive scalar; a float is fixed, an array is trained.
    Raises: `ValueError` for another `beta`.
    """

    window: Sizes = eqx.field(static=True, default=2)
    stride: Sizes | None = eqx.field(static=True, default=None)
    beta: ArrayLike = 4.0
    linear: ClassVar[bool] = False

    def __check_init__(self):
        require_number("SoftPool.beta", self.beta, lambda x: 0 < x < math.inf, "one positive, finite number")

    def reduce(self, elements):
        beta = jnp.asarray(self.beta, jnp.finfo(elements.dtype).dtype)
        peak = jax.lax.stop_gradient(jnp.max(jnp.real(elements), axis=0, keepdims=True))
        return peak[0] + jnp.log(jnp.mean(jnp.exp(beta * (elements - peak)), axis=0)) / beta


class AbstractConvolution(AbstractTransform):
    """What convolutional synapses have in common: a kernel, and how it moves over layer a."""

    layers: eqx.AbstractVar[tuple[str, str]]
    kernel: eqx.AbstractVar[Float[Array, "..."]]
    stride: eqx.AbstractVar[Sizes]
    padding: eqx.AbstractVar[Sizes]
    groups: eqx.AbstractVar[int]

    def __check_init__(self):
        name = type(self).__name__
        if self.kernel.ndim not in (3, 4):
            raise ValueError(
                f"`{name}.kernel` has shape {self.kernel.shape}; it must be (length, in, out) or "
                "(height, width, in, out)."
            )
        _require_sizes(f"{name}.stride", self.stride, 1)
        _require_sizes(f"{name}.padding", self.padding, 0)
        if not is_integer(self.groups) or self.groups < 1 or self.kernel.shape[-1] % self.groups:
            raise ValueError(
                f"`{name}.groups` is {self.groups!r}; it must be a whole number that divides the "
                f"{self.kernel.shape[-1]} output channels."
            )

    @property
    def dimensions(self) -> int:
        """The number of axes along which the kernel moves."""
        return self.kernel.ndim - 2

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride along each axis along which the kernel moves."""
        return _spread(self.stride, self.dimensions)

    def convolve(self, activation: Array, kernel: Array, strides: tuple[int, ...]) -> Array:
        """The convolution of one example, in the dtype of `activation`."""
        kernel = kernel.astype(activation.dtype)
        return convolve(activation[None], kernel, self._moves(kernel, strides, activation.shape))[0]

    def convolve_transposed(
        self, maps: Array, kernel: Array, strides: tuple[int, ...], shape: Shape
    ) -> Array:
        """The transpose of `convolve`, of `shape`."""
        kernel = kernel.astype(maps.dtype)
        return convolve_transposed(kernel, maps[None], self._moves(kernel, strides, shape))[0]

    def _moves(self, kernel: Array, strides: tuple[int, ...], shape: Shape) -> Moves:
        padding = _spread(self.padding, self.dimensions)
        return Moves(strides, padding, self.groups, tuple(shape[:-1]), kernel.shape[:-2])

    def maps_shape(self, shape: Shape) -> Shape:
        """The shape after the convolution. Raises: `ValueError` where layer a does not fit the kernel."""
        needed = self.kernel.shape[-2] * self.groups
        if len(shape) != self.dimensions + 1 or shape[-1] != needed:
            axes = ("height", "width")[-self.dimensions :]
            raise ValueError(
                f"`{type(self).__name__}` has a kernel of shape {self.kernel.shape} in {self.groups} groups, which "
                f"needs a layer ({', '.join(axes)}, {needed}), but layer {self.layers[0]!r} has shape {shape}."
            )
        counts = self._moves(self.kernel, self.strides, shape).counts
        if min(counts) < 1:
            raise ValueError(
                f"a kernel of shape {self.kernel.shape} is larger than layer {self.layers[0]!r} of shape {shape} "
                f"with padding {self.padding}; give more padding or a smaller kernel."
            )
        return (*counts, self.kernel.shape[-1])


class Conv(AbstractConvolution):
    """`E = -⟨g_b, K * g_a⟩`: a convolution from a to b, and the transposed one from b to a.

    Args:
        layers: the names of a, of shape (height, width, channels) or (length, channels), and of b.
        kernel: `K`, of shape (height, width, channels of a / groups, channels of b), or without the height. As in
            deep learning, it is not mirrored.
        stride: steps of the kernel, one number for all axes or one for each.
        padding: zeros at both ends, one number for all axes or one for each.
        groups: the number of groups into which the channels of a and b are divided; groups do not mix.
    Raises: `ValueError` for values out of range; a network raises it where the layers do not fit the kernel.
    Source: [goemaere2024], section 2, on convolutions as blocks of a sparse symmetric matrix.
    """

    layers: tuple[str, str] = eqx.field(static=True)
    kernel: Float[Array, "..."]
    stride: Sizes = eqx.field(static=True)
    padding: Sizes = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    linear: ClassVar[bool] = True
    convex: ClassVar[bool] = True

    def __init__(
        self,
        layers: tuple[str, str],
        kernel: ArrayLike,
        stride: Sizes = 1,
        padding: Sizes = 0,
        groups: int = 1,
    ):
        self.layers, self.kernel = layers, as_floating("kernel", kernel)
        self.stride, self.padding, self.groups = stride, padding, groups

    def transform(self, activation: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.convolve(activation, self.kernel, self.strides)

    def transpose(self, a: Inexact[Array, "..."], b: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.convolve_transposed(b, self.kernel, self.strides, a.shape)

    def output_shape(self, shape: Shape) -> Shape:
        return self.maps_shape(shape)


class ConvPool(AbstractConvolution):
    """`E = -⟨g_b, pool(K * g_a)⟩`: a convolution, of which layer b gets the pooled maps.

    With `AveragePool` the energy is affine in both activations. With `MaxPool` and `SoftPool` it is affine in that of
    b, and concave in that of a where b is nonnegative.

    Args:
        layers, kernel, stride, padding, groups: as for `Conv`.
        pool: `AveragePool(2)`, `MaxPool(2)` or `SoftPool(2)`.
    Raises: `ValueError` as `Conv` does.
    Source: [laborieux2021], eq. 10.
    """

    layers: tuple[str, str] = eqx.field(static=True)
    kernel: Float[Array, "..."]
    pool: AbstractPool
    stride: Sizes = eqx.field(static=True)
    padding: Sizes = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    convex: ClassVar[bool] = True

    def __init__(
        self,
        layers: tuple[str, str],
        kernel: ArrayLike,
        pool: AbstractPool,
        stride: Sizes = 1,
        padding: Sizes = 0,
        groups: int = 1,
    ):
        self.layers, self.kernel, self.pool = layers, as_floating("kernel", kernel), pool
        self.stride, self.padding, self.groups = stride, padding, groups

    def __check_init__(self):
        require_kind("ConvPool.pool", self.pool, AbstractPool, "MaxPool(2)")

    @property
    def linear(self) -> bool:
        return self.pool.linear

    def transform(self, activation: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        if self.linear:
            return self.convolve(activation, *self._averaging())
        return self.pool(self.convolve(activation, self.kernel, self.strides))

    def transpose(self, a: Inexact[Array, "..."], b: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        if self.linear:
            return self.convolve_transposed(b, *self._averaging(), a.shape)
        maps = jax.vjp(self.pool, self.convolve(a, self.kernel, self.strides))[1](b)[0]
        return self.convolve_transposed(maps, self.kernel, self.strides, a.shape)

    def _averaging(self) -> tuple[Array, tuple[int, ...]]:
        """The kernel and strides of the one convolution that convolves and averages."""
        windows, pool_strides = self.pool.sizes(self.dimensions)
        both = tuple(a * b for a, b in zip(self.strides, pool_strides, strict=True))
        return _blurred(self.kernel, windows, self.strides), both

    def output_shape(self, shape: Shape) -> Shape:
        maps = self.maps_shape(shape)
        counts = self.pool.counts(maps[:-1])
        if min(counts) < 1:
            raise ValueError(
                f"`ConvPool.pool` has a window {self.pool.window} that is larger than the maps of shape {maps}; make "
                "it smaller."
            )
        return (*counts, maps[-1])


def _blurred(kernel: Array, windows: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """The mean of the kernel at all places of a window: convolving with it is to convolve and then to average."""
    for axis, (window, stride) in enumerate(zip(windows, strides, strict=True)):
        rest = [(0, 0)] * (kernel.ndim - 1)
        places = [(stride * place, stride * (window - 1 - place)) for place in range(window)]
        padded = [jnp.pad(kernel, [*rest[:axis], ends, *rest[axis:]]) for ends in places]
        kernel = sum(padded[1:], padded[0]) / window
    return kernel


def _spread(sizes: Sizes, dimensions: int) -> tuple[int, ...]:
    """One number for each axis. Raises: `ValueError` for another count of numbers."""
    numbers = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,) * dimensions
    if len(numbers) != dimensions:
        raise ValueError(f"{sizes} has {len(numbers)} numbers for {dimensions} axes; give one for each.")
    return numbers


def _require_sizes(label: str, sizes: Sizes, minimum: int) -> None:
    numbers = np.atleast_1d(np.asarray(sizes, object))
    if not all(is_integer(n) and n >= minimum for n in numbers):
        raise ValueError(f"`{label}` must be whole numbers of at least {minimum}, got {sizes!r}.")
