"""The energy over the plane, for patterns with two values."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._internal.checks import as_integer, check_patterns, check_positive, require
from ...memory.modern import ModernHopfield
from ...memory.similarities import Euclidean
from .regimes import Minima, find_minima

REACH = 1.6  # the plane shown is [-REACH, REACH] in both directions
_STARTS = 9  # minima are looked for from so many starts a side, beside the patterns and their mean


class Landscape(eqx.Module):
    """`heights[i, j]` is the energy at `(axis[j], axis[i])`, and the minima among them."""

    axis: Float[np.ndarray, " side"]
    heights: Float[np.ndarray, "side side"]
    minima: Minima


def landscape(patterns: Float[np.ndarray, "patterns dimension"], beta: float, side: int = 49) -> Landscape:
    """The energy on a square grid of `side` points a side, and all minima that a grid of starts leads to.

    Raises: `ValueError` for patterns that are not in the plane or not finite, fewer than two of them, `beta` not
    positive, or `side` below 2.
    """
    require(patterns.shape[1] == 2, f"`patterns` must have 2 values a row, got {patterns.shape[1]}.")
    check_patterns(patterns)
    check_positive("beta", beta)
    axis = np.linspace(-REACH, REACH, as_integer("side", side, 2))
    with jax.enable_x64(True):
        exact = (jnp.asarray(value, float) for value in (patterns, beta, _plane(axis)))
        heights = np.asarray(_heights(*exact)).reshape(side, side)
    starts = _plane(np.linspace(-REACH, REACH, _STARTS))
    return Landscape(axis, heights, find_minima(patterns, beta, starts))


@eqx.filter_jit
def _heights(patterns, beta, places):
    return jax.vmap(ModernHopfield(patterns, beta, similarity=Euclidean()).energy)(places)


def _plane(axis: Float[np.ndarray, " side"]) -> Float[np.ndarray, "places 2"]:
    """All places of the grid, those of the first row first."""
    across, up = np.meshgrid(axis, axis)
    return np.stack([across.reshape(-1), up.reshape(-1)], axis=1)
