"""The primitive against `jax.lax`: values, derivatives of two orders, `vmap` over any operand, both lowerings."""

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from problems import close

from hopfax.networks.synapses import convolution_primitive
from hopfax.networks.synapses.convolution_primitive import Moves, convolve, convolve_transposed

AXIS = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 4))
SIZES = st.lists(AXIS, min_size=1, max_size=2), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2)


def by_lax(x, kernel, moves):
    """The convolution that `jax.lax` has."""
    space = "HW"[-len(moves.maps) :]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        moves.strides,
        [(pad, pad) for pad in moves.padding],
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=moves.groups,
    )


def problem(axes, groups, inside, outside):
    """Moves, maps and kernel. An axis has a window, a stride, a padding, and a length beyond what is needed."""
    windows, strides, paddings, rest = zip(*axes, strict=True)
    maps = tuple(max(1, w - 2 * p) + r for w, p, r in zip(windows, paddings, rest, strict=True))
    x = jr.normal(jr.key(0), (2, *maps, inside * groups), jnp.float64)
    kernel = jr.normal(jr.key(1), (*windows, inside, outside * groups), jnp.float64)
    return Moves(strides, paddings, groups, maps, windows), x, kernel


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(*SIZES)
def test_value_and_transposes_are_those_of_lax(axes, groups, inside, outside):
    moves, x, kernel = problem(axes, groups, inside, outside)

    @jax.jit
    def values_and_transposes(x, kernel):
        y, transpose = jax.vjp(lambda x, kernel: by_lax(x, kernel, moves), x, kernel)
        ours, our_transpose = jax.vjp(lambda x, kernel: convolve(x, kernel, moves), x, kernel)
        alone = convolve_transposed(kernel, y, moves)
        return (ours, our_transpose(y), alone), (y, transpose(y), transpose(y)[0])

    assert close(*values_and_transposes(x, kernel))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(*SIZES, st.sampled_from(convolution_primitive.ROLES))
def test_both_lowerings_are_one_function(axes, groups, inside, outside, role):
    moves, x, kernel = problem(axes, groups, inside, outside)
    values = {"x": x, "kernel": kernel, "y": by_lax(x, kernel, moves)}
    others = [value for name, value in values.items() if name != role]
    lowerings = (
        convolution_primitive._by_lax,
        convolution_primitive._by_canonical_axes,
        convolution_primitive._partial_gradient,
    )
    one, *rest = jax.jit(lambda *xs: [f(*xs, role=role, moves=moves) for f in lowerings])(*others)
    assert all(close(other, one) for other in rest)


AXES = [(3, 2, 1, 2), (2, 1, 0, 2)]


@pytest.mark.parametrize("groups", [1, 2])
def test_derivatives_of_any_order_in_both_modes(groups):
    moves, x, kernel = problem(AXES, groups, 2, 2)
    y = convolve(x, kernel, moves)
    forward = jax.jit(lambda x, kernel: jnp.sin(convolve(x, kernel, moves)))
    back = jax.jit(lambda kernel, y: jnp.sin(convolve_transposed(kernel, y, moves)))
    check_grads(forward, (x, kernel), order=2, rtol=1e-5, atol=1e-5)
    check_grads(back, (kernel, y), order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, None)], ids=str)
def test_vmap_over_maps_and_kernels(axes):
    moves, x, kernel = problem(AXES, 1, 2, 4)
    x, kernel = (jnp.stack([array, 2 * array, array[::-1]]) for array in (x, kernel))
    x = x[0] if axes[0] is None else jnp.moveaxis(x, 0, axes[0])
    kernel = kernel[0] if axes[1] is None else kernel
    loss = lambda conv: lambda x, k: jnp.sum(jnp.sin(conv(x, k, moves)))
    ours, theirs = (jax.vmap(jax.value_and_grad(loss(c), (0, 1)), in_axes=axes) for c in (convolve, by_lax))
    assert close(ours(x, kernel), theirs(x, kernel))


def test_complex_maps_are_convolved_linearly():
    moves, x, kernel = problem(AXES, 1, 2, 4)
    both = convolve(x + 2j * x, kernel, moves)
    assert close(both, (1 + 2j) * convolve(x, kernel, moves))


def test_the_gradient_in_the_kernel_is_canonical_in_a_loop():
    """XLA has its fast routine only for these axes, and brings others into their order only outside of loops."""
    moves, x, kernel = problem(AXES, 1, 2, 4)

    def steps(x, kernel):
        gradient = jax.grad(lambda kernel: jnp.sum(convolve(x, kernel, moves) ** 2))
        return jax.lax.fori_loop(0, 3, lambda _, kernel: kernel - 0.1 * gradient(kernel), kernel)

    text = jax.jit(steps).lower(x, kernel).compile().as_text()
    axes = {line.split("dim_labels=")[1].split(",")[0] for line in text.splitlines() if "dim_labels" in line}
    assert axes == {"b01f_01io->b01f"}
