"""Small numerical methods that several packages need: bisection of a yes-or-no test, power iteration."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar

from .tree import dot, rms, squares

Point = TypeVar("Point", int, float)


def bisect(
    holds: Callable[[Point], bool],
    holding: Point,
    failing: Point,
    *,
    middle: Callable[[Point, Point], Point],
    close: Callable[[Point, Point], bool],
) -> tuple[Point, Point]:
    """The ends of an interval at which `holds` is true and false, halved until they are `close`."""
    while not close(holding, failing):
        point = middle(holding, failing)
        holding, failing = (point, failing) if holds(point) else (holding, point)
    return holding, failing


def power_iteration(product: Callable[[PyTree], PyTree], start: PyTree, steps: int) -> Scalar:
    """The Rayleigh quotient `v·Av / v·v` after `steps` normalised products `v ← A v` from `start`.

    `product` is a linear map of trees of arrays. The result is the eigenvalue of largest magnitude, unless
    several are nearly as large; zero for the map to zero.
    """
    unit = lambda v: jax.tree.map(lambda x: x / jnp.maximum(rms(v), jnp.finfo(x.dtype).tiny), v)
    vector = jax.lax.fori_loop(0, steps, lambda _, v: unit(product(v)), unit(start))
    length = squares(vector)
    return dot(vector, product(vector)) / jnp.where(length > 0, length, 1)
