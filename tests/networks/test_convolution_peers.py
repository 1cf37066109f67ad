"""Convolution and pooling against PyTorch's: values, and gradients in the kernel and in the input."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close

from hopfax.networks import AveragePool, Conv, ConvPool, MaxPool

torch = pytest.importorskip("torch")
functional = torch.nn.functional
MAPS = np.asarray(jr.normal(jr.key(0), (9, 8, 4), jnp.float64))
MOVES = [(1, 0, 1), (2, 1, 1), ((2, 1), (0, 2), 2), (1, 2, 4)]  # stride, padding, groups
POOLS = {
    "none": (None, lambda maps: maps),
    "average": (AveragePool(2), lambda maps: functional.avg_pool2d(maps, 2)),
    "average, overlapping": (AveragePool(3, 2), lambda maps: functional.avg_pool2d(maps, 3, 2)),
    "average, of two sizes": (
        AveragePool((2, 1), (1, 2)),
        lambda m: functional.avg_pool2d(m, (2, 1), (1, 2)),
    ),
    "max": (MaxPool(2), lambda maps: functional.max_pool2d(maps, 2)),
    "max, overlapping": (MaxPool(3, 2), lambda maps: functional.max_pool2d(maps, 3, 2)),
}


@pytest.mark.parametrize("pool", list(POOLS))
@pytest.mark.parametrize(("stride", "padding", "groups"), MOVES)
def test_convolution_and_pooling_are_pytorchs(pool, stride, padding, groups):
    """PyTorch has the channels first: (batch, channels, height, width), and (out, in, height, width) for kernels."""
    ours, theirs = POOLS[pool]
    kernel = np.asarray(jr.normal(jr.key(1), (3, 2, 4 // groups, 8), jnp.float64))

    def transform(maps, kernel):
        if ours is None:
            return Conv(("a", "b"), kernel, stride, padding, groups).transform(maps)
        return ConvPool(("a", "b"), kernel, ours, stride, padding, groups).transform(maps)

    maps, weight = tensor(MAPS, (2, 0, 1))[None], tensor(kernel, (3, 2, 0, 1))
    maps.requires_grad_()
    weight.requires_grad_()
    expected = theirs(functional.conv2d(maps, weight, None, stride, padding, groups=groups))
    upper = np.asarray(jr.normal(jr.key(2), expected[0].permute(1, 2, 0).shape, jnp.float64))
    (expected * tensor(upper, (2, 0, 1))).sum().backward()

    result, pullback = jax.vjp(transform, jnp.asarray(MAPS), jnp.asarray(kernel))
    to_maps, to_kernel = pullback(jnp.asarray(upper))
    assert close(result, expected[0].detach().permute(1, 2, 0).numpy(), 1e-10)
    assert close(to_maps, maps.grad[0].permute(1, 2, 0).numpy(), 1e-10)
    assert close(to_kernel, weight.grad.permute(2, 3, 1, 0).numpy(), 1e-10)


def test_the_drive_of_the_lower_layer_is_pytorchs_transposed_convolution():
    kernel = np.asarray(jr.normal(jr.key(1), (3, 3, 4, 6), jnp.float64))
    synapse = Conv(("a", "b"), kernel, stride=2, padding=1)
    upper = np.asarray(jr.normal(jr.key(2), synapse.output_shape(MAPS.shape), jnp.float64))
    drive = synapse.drive("a", jnp.asarray(MAPS), jnp.asarray(upper))
    missing = tuple(  # rows and columns that the last step of the kernel does not reach
        size - (2 * (count - 1) + 3 - 2) for size, count in zip(MAPS.shape[:2], upper.shape[:2], strict=True)
    )
    expected = functional.conv_transpose2d(
        tensor(upper, (2, 0, 1))[None],
        tensor(kernel, (3, 2, 0, 1)),
        stride=2,
        padding=1,
        output_padding=missing,
    )
    assert close(drive, expected[0].permute(1, 2, 0).numpy(), 1e-10)


def test_a_convolution_along_one_axis_is_pytorchs():
    signal, kernel = MAPS[:, 0], np.asarray(jr.normal(jr.key(3), (3, 4, 6), jnp.float64))
    synapse = ConvPool(("a", "b"), kernel, MaxPool(2), 1, 1)
    maps = functional.conv1d(tensor(signal, (1, 0))[None], tensor(kernel, (2, 1, 0)), padding=1)
    expected = functional.max_pool1d(maps, 2)[0].permute(1, 0).numpy()
    assert close(synapse.transform(jnp.asarray(signal)), expected, 1e-10)


def tensor(array, order):
    """A tensor of PyTorch with the axes in another order."""
    return torch.from_numpy(np.array(array)).permute(order).contiguous()
