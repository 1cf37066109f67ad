"""Thresholds found by running the dynamics in the full space and bisecting on `beta`; no formula used."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from ..._internal.checks import check_patterns, check_positive, require, as_integer
from .clusters import ClusterThresholds
from .dynamics import association, energy, update
from .effective import beta_for_mean_field
from .settling import order_parameter, settle
from .transitions import Thresholds

_Vector = Float[Array, " dimension"]
_Test = Callable[[Float[Array, ""]], Bool[Array, ""]]

_REMAINS = 0.01  # of the starting contrast; below it, a state has lost what set its start apart
_NUDGE = 1e-7  # small enough to stay in the linear regime, large enough to stand out of rounding
_NUDGED_STEPS = 1000  # transients of a few per cent then move the threshold by less than 1e-4 of itself
_UNEVEN = 0.05  # relative spread of shares that should be equal; rounding, even amplified, stays below
_SYMMETRY = 1e-4  # of the largest squared norm: single-precision patterns of an exact set pass
_LAST = 2.0**20  # times the first guess: a threshold beyond is taken not to exist
_DEEPER = 1e-10  # of the largest squared norm: above rounding, below any difference that matters


def simulate_thresholds(
    patterns: Float[Array | np.ndarray, "patterns dimension"], *, rtol: float = 1e-5
) -> Thresholds:
    """The thresholds, in `beta`, of the first pattern and the mean of `patterns`, to `rtol` of themselves.

    Spinodal: lowest `beta` at which a start at the pattern stays apart from the second pattern.
    Coexistence: lowest at which it ends deeper than a start at the mean. Instability: lowest at which a
    small difference of the two patterns, added to the mean, grows. Infinity where no `beta` was found.
    `overlap_at_spinodal` is read just above the spinodal, so its error is about `sqrt(rtol)`. In double
    precision; patterns rounded to single precision are no longer quite equidistant, which brings the
    instability forward, by 0.1 % and more where rounding is large beside the distances.

    Raises `ValueError` for bad patterns, the first two equal, a mean that is no fixed point (it must have the
    same product with every pattern, as in equidistant sets), or `rtol` not positive.
    """
    _check_symmetric(patterns)
    check_positive("rtol", rtol)
    require(np.any(patterns[0] != patterns[1]), "`patterns` must start with two different rows.")
    with jax.enable_x64(True):
        found = _equidistant_search(jnp.asarray(np.asarray(patterns), float), rtol)
        return Thresholds(*(float(value) for value in found))


def simulate_cluster_thresholds(
    patterns: Float[Array | np.ndarray, "patterns dimension"], clusters: int, *, rtol: float = 1e-5
) -> ClusterThresholds:
    """The four cluster thresholds, in `beta`, of `patterns` in `clusters` groups of consecutive rows.

    The order of rows is that of `cluster_patterns`. Averages over the first cluster and its first pattern
    are tried, told apart from the second cluster and pattern. To `rtol` of each value; infinity where no
    `beta` was found. Precision as in `simulate_thresholds`.

    Raises `ValueError` for bad patterns, a mean that is no fixed point, or rows that do not form two or more
    equal groups of two or more.
    """
    _check_symmetric(patterns)
    check_positive("rtol", rtol)
    clusters, count = as_integer("clusters", clusters, 2), len(patterns)
    even = count % clusters == 0 and count >= 2 * clusters
    require(even, f"`patterns` must hold {clusters} groups of two rows or more, all equal, got {count} rows.")
    with jax.enable_x64(True):
        found = _cluster_search(jnp.asarray(np.asarray(patterns), float), clusters, rtol)
        return ClusterThresholds(*(float(value) for value in found))


@eqx.filter_jit
def _equidistant_search(patterns, rtol):
    """Spinodal, coexistence, instability and overlap at the spinodal."""
    mean, pattern, contrast = jnp.mean(patterns, axis=0), patterns[0], patterns[0] - patterns[1]
    search = _Search(patterns, rtol)
    spinodal = search.lowest(lambda beta: search.remains(pattern, contrast, beta))
    coexistence = search.lowest(lambda beta: search.deeper(pattern, mean, beta))
    instability = search.lowest(lambda beta: search.departs(mean, contrast, len(patterns), beta))
    rest = settle(patterns, pattern, spinodal).state
    return spinodal, coexistence, instability, order_parameter(patterns, rest, spinodal, 0)


@eqx.filter_jit
def _cluster_search(patterns, clusters, rtol):
    """The four cluster thresholds, in the order of `ClusterThresholds`."""
    mean, means = jnp.mean(patterns, axis=0), patterns.reshape(clusters, -1, patterns.shape[1]).mean(axis=1)
    across, within = means[0] - means[1], patterns[0] - patterns[1]
    search = _Search(patterns, rtol)
    return (
        search.lowest(lambda beta: search.remains(means[0], across, beta)),
        search.lowest(lambda beta: search.departs(mean, across, len(patterns), beta)),
        search.lowest(lambda beta: search.remains(patterns[0], within, beta)),
        search.lowest(lambda beta: search.departs(means[0], within, len(patterns) // clusters, beta)),
    )


class _Search(eqx.Module):
    """Yes-or-no experiments at one `beta`, and the search for the `beta` at which one turns to yes."""

    patterns: Float[Array, "patterns dimension"]
    rtol: float

    def remains(self, start: _Vector, contrast: _Vector, beta: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether the state that starts at `start` keeps its overlap with `contrast`."""
        rest = settle(self.patterns, start, beta).state
        return jnp.dot(contrast, rest) > _REMAINS * jnp.dot(contrast, start)

    def deeper(self, start: _Vector, mean: _Vector, beta: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether `start` comes to rest at a lower energy than `mean`, or `mean` does not stay at all."""
        rest = jax.vmap(lambda x: settle(self.patterns, x, beta).state)(jnp.stack([start, mean]))
        depths = jax.vmap(lambda x: energy(self.patterns, x, beta))(rest)
        lower = depths[1] - depths[0] > _DEEPER * jnp.max(jnp.sum(self.patterns**2, axis=1))
        return lower | self.uneven(rest[1], len(self.patterns), beta)

    def departs(
        self, start: _Vector, contrast: _Vector, members: int, beta: Float[Array, ""]
    ) -> Bool[Array, ""]:
        """Whether a little of `contrast`, added to `start`, the mean of the first `members`, grows.

        The same course without the addition is subtracted, as rounded patterns drift by themselves; when it
        has left too, the members' shares have become uneven.
        """
        step = lambda _, states: jax.vmap(lambda x: update(self.patterns, x, beta))(states)
        starts = jnp.stack([start, start + _NUDGE * contrast])
        plain, nudged = lax.fori_loop(0, _NUDGED_STEPS, step, starts)
        grown = jnp.abs(jnp.dot(contrast, nudged - plain)) > _NUDGE * jnp.dot(contrast, contrast)
        return grown | self.uneven(plain, members, beta)

    def uneven(self, state: _Vector, members: int, beta: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether the first `members` patterns, alike in the symmetric state, have different shares."""
        shares = association(self.patterns, state, beta)[:members]
        return jnp.max(shares) - jnp.min(shares) > _UNEVEN * jnp.max(shares)

    def lowest(self, holds: _Test) -> Float[Array, ""]:
        """Doubles `beta` until `holds`, then halves the bracket until it is `rtol` wide; its upper end.

        One loop does both, with infinity for the upper end not yet known, so `holds` is compiled once.
        """
        first = beta_for_mean_field(self.patterns, 2.0)

        def narrow(bracket):
            low, high = bracket
            beta = jnp.where(jnp.isinf(high), jnp.maximum(first, 2 * low), (low + high) / 2)
            yes = holds(beta)
            return jnp.where(yes, low, beta), jnp.where(yes, beta, high)

        def going(bracket):
            low, high = bracket
            return jnp.where(jnp.isinf(high), low < first * _LAST, high - low > self.rtol * high)

        return lax.while_loop(going, narrow, (jnp.zeros_like(first), jnp.full_like(first, jnp.inf)))[1]


def _check_symmetric(patterns: Float[Array | np.ndarray, "patterns dimension"]) -> None:
    """Raises `ValueError` unless the patterns are valid and their mean is a fixed point at every `beta`."""
    check_patterns(patterns)
    exact = np.asarray(patterns, float)
    spread, scale = np.ptp(exact @ exact.mean(axis=0)), np.square(exact).sum(axis=1).max()
    require(
        spread <= _SYMMETRY * scale,
        f"`patterns` must have one and the same product with their mean, which varies by {spread:.3g}; "
        "use `count_minima` and `largest_eigenvalue` for sets without this symmetry.",
    )
