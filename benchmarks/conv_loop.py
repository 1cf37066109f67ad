"""The convolution of hopfax and that of `jax.lax`, and their two transposes, inside a compiled loop and outside.

    python benchmarks/conv_loop.py

128 examples. 3 x 3, stride 2, from (14, 14, 32) to (7, 7, 64) is the second convolution of `conv_step.py`; 5 x 5,
stride 2, from (7, 7, 64) to (4, 4, 128) has a kernel that is larger than the maps that it goes to. Times are those of
one convolution; a loop has ten.
"""

import functools as ft

import jax
import jax.numpy as jnp
import jax.random as jr
from common import arguments, interleaved, ratio, write

from hopfax.networks.synapses.convolution_primitive import Moves, convolve

CASES = {  # with the channels of the maps
    "3 x 3": (Moves((2, 2), (1, 1), 1, (14, 14), (3, 3)), 32),
    "5 x 5": (Moves((2, 2), (2, 2), 1, (7, 7), (5, 5)), 64),
}
EXAMPLES, LENGTH = 128, 10


def by_lax(x, kernel, moves):
    padding, axes = [(pad, pad) for pad in moves.padding], ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, moves.strides, padding, dimension_numbers=axes)


def main() -> None:
    options = arguments(__doc__).parse_args()
    results = {name: _measured(*case, options.rounds) for name, case in CASES.items()}
    write("conv_loop", {"config": {"examples": EXAMPLES, "loop": LENGTH}, "kernels": results}, options.json)


def _measured(moves: Moves, channels: int, rounds: int):
    """Milliseconds of the three by both, and the time of `jax.lax` over that of hopfax in a loop."""
    x = jr.normal(jr.key(0), (EXAMPLES, *moves.maps, channels))
    kernel = jr.normal(jr.key(1), (*moves.window, channels, 2 * channels))
    y = by_lax(x, kernel, moves)
    functions = {"hopfax": convolve, "jax.lax": by_lax}
    convolutions = {label: ft.partial(function, moves=moves) for label, function in functions.items()}
    times, ratios = {}, {}
    for name in ("forward", "transposed", "gradient in the kernel"):
        calls = {}
        for label, convolution in convolutions.items():
            once, argument = _part(convolution, name, x, kernel, y)
            calls[f"{label}, outside"] = _call(once, argument)
            calls[f"{label}, in a loop"] = _call(_looped(once), argument)
        times[name] = interleaved(calls, rounds)
        for label in convolutions:
            for row in ("median", "lower", "upper", "least"):
                times[name][f"{label}, in a loop"][row] /= LENGTH
        ratios[name] = ratio(times[name], "jax.lax, in a loop", "hopfax, in a loop")
    return {"milliseconds": times, "jax.lax over hopfax, in a loop": ratios}


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
