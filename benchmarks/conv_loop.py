"""The convolution of hopfax and that of `jax.lax`, and their two transposes, inside a compiled loop and outside.

    python benchmarks/conv_loop.py

3 x 3, stride 2, from (14, 14, 32) to (7, 7, 64), 128 examples: the second convolution of `conv_step.py`. Times
are those of one convolution; a loop has ten.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from common import arguments, interleaved, ratio, write

from hopfax.networks.synapses.convolution_primitive import Moves, convolve

MOVES = Moves((2, 2), (1, 1), 1, (14, 14), (3, 3))
LENGTH = 10


def by_lax(x, kernel):
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=axes)


def main() -> None:
    options = arguments(__doc__).parse_args()
    x, kernel = jr.normal(jr.key(0), (128, 14, 14, 32)), jr.normal(jr.key(1), (3, 3, 32, 64))
    y = by_lax(x, kernel)
    convolutions = {"hopfax": lambda x, kernel: convolve(x, kernel, MOVES), "jax.lax": by_lax}
    times, ratios = {}, {}
    for name in ("forward", "transposed", "gradient in the kernel"):
        calls = {}
        for label, convolution in convolutions.items():
            once, argument = _part(convolution, name, x, kernel, y)
            calls[f"{label}, outside"] = _call(once, argument)
            calls[f"{label}, in a loop"] = _call(_looped(once), argument)
        times[name] = interleaved(calls, options.rounds)
        for label in convolutions:
            for row in ("median", "lower", "upper", "least"):
                times[name][f"{label}, in a loop"][row] /= LENGTH
        ratios[name] = ratio(times[name], "jax.lax, in a loop", "hopfax, in a loop")
    result = {"config": {"examples": 128, "loop": LENGTH}, "milliseconds": times}
    write("conv_loop", {**result, "jax.lax over hopfax, in a loop": ratios}, options.json)


def _part(convolution, name, x, kernel, y):
    """One of the three as a function of one array, and that array."""
    if name == "forward":
        return lambda x: convolution(x, kernel), x
    if name == "transposed":
        return lambda y: jax.linear_transpose(lambda x: convolution(x, kernel), x)(y)[0], y
    return lambda y: jax.linear_transpose(lambda kernel: convolution(x, kernel), kernel)(y)[0], y


def _looped(once):
    def loop(array):
        like = jax.eval_shape(once, array)
        result = jnp.zeros(like.shape, like.dtype)
        return jax.lax.fori_loop(0, LENGTH, lambda i, _: once(array + i), result)

    return loop


def _call(function, argument):
    compiled = jax.jit(function)
    return lambda: jax.block_until_ready(compiled(argument))


if __name__ == "__main__":
    main()
