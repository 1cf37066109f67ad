"""Convolution and pooling against plain loops and SciPy, their energies, and what they refuse."""

import functools as ft
import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import close
from scipy.signal import correlate

from hopfax import HAM, Layer
from hopfax.lagrangians import ReLU
from hopfax.networks import AveragePool, Conv, ConvBlock, ConvPool, MaxPool, SoftPool, convolutional
from hopfax.networks.synapses.convolution import AbstractConvolution

MAPS = np.asarray(jr.normal(jr.key(0), (7, 6, 4), jnp.float64))
KERNEL = np.asarray(jr.normal(jr.key(1), (3, 2, 2, 6), jnp.float64))
POOLS = [AveragePool(2), MaxPool(2), SoftPool(2, beta=3.0), AveragePool((2, 1), (1, 1)), MaxPool(3, 2)]
label = lambda value: type(value).__name__


def by_loops(maps, kernel, stride, padding, groups):
    """Every output as a sum of products."""
    (sh, sw), (ph, pw) = stride, padding
    maps = np.pad(maps, [(ph, ph), (pw, pw), (0, 0)])
    height, width, inside, outside = kernel.shape
    rows, columns = (maps.shape[0] - height) // sh + 1, (maps.shape[1] - width) // sw + 1
    result = np.zeros((rows, columns, outside))
    for i, j, channel in itertools.product(range(rows), range(columns), range(outside)):
        first = inside * (channel // (outside // groups))
        window = maps[sh * i : sh * i + height, sw * j : sw * j + width, first : first + inside]
        result[i, j, channel] = np.sum(window * kernel[..., channel])
    return result


def pooled_by_loops(maps, pool):
    (height, width), (sh, sw) = pool.sizes(2)
    reduce = {
        "AveragePool": np.mean,
        "MaxPool": np.max,
        "SoftPool": lambda x: np.log(np.mean(np.exp(3 * x))) / 3,
    }[label(pool)]
    rows, columns = (maps.shape[0] - height) // sh + 1, (maps.shape[1] - width) // sw + 1
    window = lambda i, j, c: maps[sh * i : sh * i + height, sw * j : sw * j + width, c]
    return np.array(
        [
            [[reduce(window(i, j, c)) for c in range(maps.shape[2])] for j in range(columns)]
            for i in range(rows)
        ]
    )


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (2, 1)])
def test_a_convolution_is_the_sum_over_its_window(stride, padding):
    synapse = Conv(("a", "b"), KERNEL, stride, padding, groups=2)
    assert close(synapse.transform(jnp.asarray(MAPS)), by_loops(MAPS, KERNEL, stride, padding, 2))


def test_a_convolution_is_that_of_scipy():
    kernel = np.asarray(jr.normal(jr.key(2), (3, 3, 4, 1), jnp.float64))
    expected = correlate(MAPS, kernel[..., 0], mode="valid")
    assert close(Conv(("a", "b"), kernel).transform(jnp.asarray(MAPS)), expected)
    signal, short = MAPS[:, 0], kernel[:, 0]
    one = Conv(("a", "b"), short).transform(jnp.asarray(signal))
    assert close(one, correlate(signal, short[..., 0], mode="valid"))


@pytest.mark.parametrize("pool", POOLS, ids=label)
@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 2))])
def test_pooling_follows_the_convolution(pool, stride, padding):
    """Average pooling too, although it is one convolution with a blurred kernel."""
    synapse = ConvPool(("a", "b"), KERNEL, pool, stride, padding, groups=2)
    maps = by_loops(MAPS, KERNEL, stride, padding, 2)
    result = synapse.transform(jnp.asarray(MAPS))
    assert close(result, pooled_by_loops(maps, pool), 1e-10)
    assert synapse.output_shape(MAPS.shape) == result.shape


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(3, 9),
    size=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    window=st.integers(1, 3),
    step=st.integers(1, 3),
)
def test_the_shape_that_is_announced_is_the_shape_that_comes(length, size, stride, padding, window, step):
    """And blurring equals pooling afterwards, for any sizes."""
    maps = jnp.asarray(MAPS[:, :, :2].reshape(-1)[: 2 * length].reshape(length, 2))
    kernel = jnp.asarray(KERNEL[:size, 0, :, :2])
    plain = Conv(("a", "b"), kernel, stride, padding)
    image = plain.transform(maps)
    assert image.shape == plain.output_shape(maps.shape)
    if image.shape[0] < window:
        return
    averaged = ConvPool(("a", "b"), kernel, AveragePool(window, step), stride, padding)
    assert averaged.transform(maps).shape == averaged.output_shape(maps.shape)
    assert close(averaged.transform(maps), AveragePool(window, step)(image), 1e-10)


@pytest.mark.parametrize("pool", POOLS, ids=label)
@pytest.mark.parametrize("factor", [1.0, 1.0 + 0.2j])
def test_the_drives_of_pooled_maps_are_minus_the_derivative_of_the_energy(pool, factor):
    if isinstance(pool, MaxPool) and factor != 1.0:
        return  # not holomorphic
    synapse = ConvPool(("a", "b"), KERNEL, pool, groups=2)
    a = factor * jnp.asarray(MAPS)
    b = jr.normal(jr.key(3), synapse.output_shape(MAPS.shape), jnp.float64) * factor
    derivatives = jax.grad(synapse, argnums=(0, 1), holomorphic=jnp.iscomplexobj(a))
    both = jax.jit(lambda a, b: (derivatives(a, b), [synapse.drive(name, a, b) for name in "ab"]))
    for derivative, drive in zip(*both(a, b), strict=True):
        assert close(drive, -derivative, 1e-10)


@pytest.mark.parametrize(
    ("size", "stride", "padding", "groups"),
    [
        ((3, 2), (2, 3), (1, 0), 1),
        ((2, 3), (1, 1), (4, 3), 1),
        ((3, 2), (2, 1), (0, 2), 2),
        ((5,), (3,), (2,), 1),
    ],
)
def test_the_transposed_convolution_has_the_derivatives_of_a_bilinear_form(size, stride, padding, groups):
    """`⟨c, Kᵀ y⟩ = ⟨K c, y⟩`: the gradient in the kernel, forward mode, and the mixed second derivative."""
    a = jnp.asarray(MAPS if len(size) == 2 else MAPS[:, 0])
    kernel = jr.normal(jr.key(5), (*size, 4 // groups, 6), jnp.float64)
    of = lambda kernel: Conv(("a", "b"), kernel, stride, padding, groups)
    y = jr.normal(jr.key(6), of(kernel).output_shape(a.shape), jnp.float64)
    by_transpose = lambda kernel, y: jnp.sum(a * of(kernel).drive("a", a, y))
    by_convolution = lambda kernel, y: jnp.sum(of(kernel).transform(a) * y)
    forward = lambda f, kernel, y: jax.jvp(f, (kernel, y), (kernel + 1, y - 1))
    mixed = lambda f, kernel, y: jax.grad(lambda y: jnp.sum(jnp.sin(jax.grad(f)(kernel, y))))(y)
    reverse = lambda f, kernel, y: jax.grad(f)(kernel, y)
    for derivative, tolerance in ((reverse, 1e-10), (forward, 1e-9), (mixed, 1e-9)):
        one, other = (jax.jit(ft.partial(derivative, f))(kernel, y) for f in (by_transpose, by_convolution))
        assert close(one, other, tolerance)


@pytest.mark.parametrize("pool", POOLS, ids=label)
def test_pooling_is_convex_and_zero_at_zero(pool):
    """So the energy is concave below a nonnegative layer, and vanishes where an activation does."""
    x, y = jnp.asarray(MAPS), jnp.flip(jnp.asarray(MAPS))
    for share in (0.2, 0.5, 0.9):
        chord = share * pool(x) + (1 - share) * pool(y)
        assert jnp.all(pool(share * x + (1 - share) * y) <= chord + 1e-12)
    assert close(pool(0 * x), 0 * pool(x))


def test_soft_pooling_is_between_the_mean_and_the_maximum():
    maps = jnp.asarray(MAPS)
    assert close(SoftPool(2, beta=1e-6)(maps), AveragePool(2)(maps), 1e-4)
    assert close(SoftPool(2, beta=1e4)(maps), MaxPool(2)(maps), 1e-3)


@pytest.mark.parametrize("pool", [MaxPool(2), SoftPool(2)], ids=label)
def test_which_activations_a_pooled_synapse_is_affine_and_concave_in(pool):
    synapse = ConvPool(("a", "b"), KERNEL, pool)
    assert (synapse.affine_in("a"), synapse.affine_in("b")) == (False, True)
    assert synapse.concave_in("a", {"b"})
    assert not synapse.concave_in("a", {"a"})
    scaled = 2.0 * synapse
    assert (scaled.affine_in("a"), scaled.concave_in("a", {"b"})) == (False, True)
    linear = ConvPool(("a", "b"), KERNEL, AveragePool(2))
    assert linear.affine_in("a")
    assert linear.affine_in("b")


@pytest.mark.parametrize("pool", [None, *POOLS[:3]], ids=label)
def test_conditioning_a_convolution_keeps_the_energy(pool):
    """With either end clamped, or both."""
    synapse = (
        Conv(("a", "b"), KERNEL, groups=2) if pool is None else ConvPool(("a", "b"), KERNEL, pool, groups=2)
    )
    shapes = {"a": MAPS.shape, "b": synapse.output_shape(MAPS.shape)}
    g = {name: jr.normal(jr.key(i), shape, jnp.float64) for i, (name, shape) in enumerate(shapes.items())}
    for known in ("a", "b", "ab"):
        rest = synapse.condition({name: g[name] for name in known}, shapes)
        assert close(rest(*(g[name] for name in rest.layers)), synapse(g["a"], g["b"]), 1e-10)
        for name in rest.layers:
            drive = rest.drive(name, g[name])
            assert close(drive, synapse.drive(name, g["a"], g["b"]), 1e-10)


def synapse_of(shape_a, shape_b, synapse: AbstractConvolution) -> HAM:
    return HAM({"a": Layer(shape_a, ReLU()), "b": Layer(shape_b, ReLU())}, [synapse])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(("a", "b"), KERNEL[0, 0]), "must be .length, in, out."),
        (lambda: Conv(("a", "b"), KERNEL, stride=0), "Conv.stride.*at least 1"),
        (lambda: Conv(("a", "b"), KERNEL, padding=-1), "Conv.padding.*at least 0"),
        (lambda: Conv(("a", "b"), KERNEL, groups=4), "Conv.groups.*divides the 6"),
        (lambda: Conv(("a", "b"), KERNEL.astype(int)), "floating"),
        (lambda: MaxPool(0), "MaxPool.window.*at least 1"),
        (lambda: SoftPool(2, beta=-1.0), "SoftPool.beta"),
        (lambda: SoftPool(2, beta=0.0), "SoftPool.beta"),
        (
            lambda: synapse_of((7, 6, 3), (5, 5, 6), Conv(("a", "b"), KERNEL)),
            r"needs a layer \(height, width, 2\)",
        ),
        (lambda: synapse_of((42,), (5, 5, 6), Conv(("a", "b"), KERNEL)), r"layer 'a' has shape \(42,\)"),
        (lambda: synapse_of((2, 6, 2), (5, 5, 6), Conv(("a", "b"), KERNEL)), "larger than layer 'a'"),
        (
            lambda: synapse_of((7, 6, 2), (5, 4, 6), Conv(("a", "b"), KERNEL)),
            r"makes \(5, 5, 6\).*\(5, 4, 6\)",
        ),
        (
            lambda: synapse_of((7, 6, 2), (1, 1, 6), ConvPool(("a", "b"), KERNEL, MaxPool(6))),
            "larger than the maps",
        ),
        (
            lambda: synapse_of((7, 6, 2), (5, 5, 6), Conv(("a", "b"), KERNEL, stride=(1, 1, 1))),
            "3 numbers for 2",
        ),
        (
            lambda: HAM(
                {name: Layer((4, 4, 1), ReLU()) for name in "abcd"},
                [Conv(pair, jnp.ones((1, 1, 1, 1))) for pair in (("a", "b"), ("c", "d"))],
            ),
            "disconnected",
        ),
        (lambda: convolutional((6, 6, 1), [ConvBlock(2, 3)], 0, key=jr.key(0)), "classes"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_equal_blocks_are_one_key():
    """Blocks are settings of compiled functions, which JAX compares by value."""
    assert len({ConvBlock(2, 3), ConvBlock(2, 3), ConvBlock(2, 3, stride=2)}) == 2
