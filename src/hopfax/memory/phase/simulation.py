"""Thresholds measured by running the dynamics in the full space and bisecting on `beta`; no formula is used."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ..._internal.checks import as_integer, check_patterns, check_positive, require
from ..modern import ModernHopfield
from .classification import order_parameter
from .effective import beta_for_mean_field
from .transitions import ClusterThresholds, Thresholds

_Vector = Float[Array, " dimension"]
_Beta = Float[Array, ""]
_Truth = Bool[Array, ""]

_REMAINING = 0.01  # of the initial contrast; a state with less has lost what distinguished its start
_NUDGE = 1e-7  # small enough to stay in the linear regime, large enough to stand out of rounding
_NUDGED_STEPS = 1000  # transients of a few per cent then shift the threshold by less than 1e-4 of itself
_UNEVEN = 0.05  # relative spread of weights that should be equal; rounding, even amplified, stays below
_SYMMETRY = 1e-4  # of the largest squared norm: single-precision patterns of an exact set pass
_WIDEST = 2.0**20  # times the first guess; a threshold beyond is taken not to exist
_DEEPER = 1e-10  # of the largest squared norm: above rounding, below any difference that matters


def simulate_thresholds(
    patterns: Float[Array | np.ndarray, "patterns dimension"], *, rtol: float = 1e-5
) -> Thresholds:
    """The thresholds, in `beta`, of the first pattern and the mean of `patterns`, to `rtol` of each value.

    - Spinodal: the lowest `beta` at which retrieval from the pattern stays apart from the second pattern.
    - Coexistence: the lowest at which it ends at a lower energy than retrieval from the mean.
    - Instability: the lowest at which a small difference of the two patterns, added to the mean, grows.

    Infinity where there is no such `beta`. `overlap_at_spinodal` is read just above the spinodal, so its error is about
    `sqrt(rtol)`. In double precision. Patterns rounded to single precision are no longer quite equidistant, which
    lowers the instability by 0.1 % and more if rounding is large compared with the distances.

    Raises: `ValueError` for bad patterns, the first two equal, a mean that is not a fixed point (it must have the same
        product with every pattern, as in equidistant sets), or an `rtol` that is not positive.
    """
    _check_symmetric(patterns)
    check_positive("rtol", rtol)
    require(np.any(patterns[0] != patterns[1]), "`patterns` must start with two different rows.")
    with jax.enable_x64(True):
        values = _equidistant_search(jnp.asarray(np.asarray(patterns), float), rtol)
        return Thresholds(*(float(value) for value in values))


def simulate_cluster_thresholds(
    patterns: Float[Array | np.ndarray, "patterns dimension"], clusters: int, *, rtol: float = 1e-5
) -> ClusterThresholds:
    """The four cluster thresholds, in `beta`, of `patterns` in `clusters` groups of consecutive rows.

    The rows are ordered as by `cluster_patterns`. The average over the first cluster is compared with that over the
    second, and the first pattern with the second. To `rtol` of each value; infinity where there is no such `beta`.
    Precision as in `simulate_thresholds`.

    Raises: `ValueError` for bad patterns, a mean that is not a fixed point, or rows that do not form two or more equal
        groups of two or more.
    """
    _check_symmetric(patterns)
    check_positive("rtol", rtol)
    clusters, count = as_integer("clusters", clusters, 2), len(patterns)
    even = count % clusters == 0 and count >= 2 * clusters
    require(even, f"`patterns` must hold {clusters} groups of two rows or more, all equal, got {count} rows.")
    with jax.enable_x64(True):
        values = _cluster_search(jnp.asarray(np.asarray(patterns), float), clusters, rtol)
        return ClusterThresholds(*(float(value) for value in values))


@eqx.filter_jit
def _equidistant_search(patterns, rtol):
    """Spinodal, coexistence, instability and overlap at the spinodal."""
    mean, pattern, contrast = jnp.mean(patterns, axis=0), patterns[0], patterns[0] - patterns[1]
    search = _Search(patterns, rtol)
    spinodal = search.lowest(lambda beta: search.remains(pattern, contrast, beta))
    coexistence = search.lowest(lambda beta: search.deeper(pattern, mean, beta))
    instability = search.lowest(lambda beta: search.departs(mean, contrast, len(patterns), beta))
    network = ModernHopfield(patterns, spinodal)
    overlap = order_parameter(network, network.retrieve(pattern).state, 0)
    return spinodal, coexistence, instability, overlap


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
    """Tests at one `beta`, and the search for the `beta` at which a test begins to hold."""

    patterns: Float[Array, "patterns dimension"]
    rtol: float

    def remains(self, start: _Vector, contrast: _Vector, beta: _Beta) -> _Truth:
        """Whether retrieval from `start` keeps the overlap with `contrast`."""
        end = ModernHopfield(self.patterns, beta).retrieve(start).state
        return jnp.dot(contrast, end) > _REMAINING * jnp.dot(contrast, start)

    def deeper(self, start: _Vector, mean: _Vector, beta: _Beta) -> _Truth:
        """Whether retrieval from `start` ends at a lower energy than from `mean`, or `mean` is not stable at all."""
        network = ModernHopfield(self.patterns, beta)
        ends = jax.vmap(lambda x: network.retrieve(x).state)(jnp.stack([start, mean]))
        energies = jax.vmap(network.energy)(ends)
        lower = energies[1] - energies[0] > _DEEPER * jnp.max(jnp.sum(self.patterns**2, axis=1))
        return lower | self.uneven(network, ends[1], len(self.patterns))

    def departs(self, start: _Vector, contrast: _Vector, members: int, beta: _Beta) -> _Truth:
        """Whether a little of `contrast`, added to `start`, the mean of the first `members`, grows.

        The same trajectory without the addition is subtracted, as rounded patterns drift by themselves. If it has
        left the mean as well, the weights of the members are uneven.
        """
        network = ModernHopfield(self.patterns, beta)
        starts = jnp.stack([start, start + _NUDGE * contrast])
        step: Callable[[Int[Array, ""], Array], Array] = lambda _, states: jax.vmap(network.update)(states)
        plain, nudged = lax.fori_loop(0, _NUDGED_STEPS, step, starts)
        grown = jnp.abs(jnp.dot(contrast, nudged - plain)) > _NUDGE * jnp.dot(contrast, contrast)
        return grown | self.uneven(network, plain, members)

    def uneven(self, network: ModernHopfield, state: _Vector, members: int) -> _Truth:
        """Whether the first `members` patterns, equivalent in the symmetric state, have different weights."""
        weights = network.weights(state)[:members]
        return jnp.max(weights) - jnp.min(weights) > _UNEVEN * jnp.max(weights)

    def lowest(self, holds: Callable[[_Beta], _Truth]) -> _Beta:
        """Doubles `beta` until `holds`, then bisects to `rtol`, and returns the upper end of the bracket.

        One loop does both, with infinity for the unknown upper end, so that `holds` is compiled once.
        """
        first = beta_for_mean_field(self.patterns, 2.0)

        def narrow(bracket):
            low, high = bracket
            beta = jnp.where(jnp.isinf(high), jnp.maximum(first, 2 * low), (low + high) / 2)
            true = holds(beta)
            return jnp.where(true, low, beta), jnp.where(true, beta, high)

        def wide(bracket):
            low, high = bracket
            return jnp.where(jnp.isinf(high), low < first * _WIDEST, high - low > self.rtol * high)

        return lax.while_loop(wide, narrow, (jnp.zeros_like(first), jnp.full_like(first, jnp.inf)))[1]


def _check_symmetric(patterns: Float[Array | np.ndarray, "patterns dimension"]) -> None:
    """Raises: `ValueError` unless the patterns are valid and their mean is a fixed point at every `beta`."""
    check_patterns(patterns)
    exact = np.asarray(patterns, float)
    spread, scale = np.ptp(exact @ exact.mean(axis=0)), np.square(exact).sum(axis=1).max()
    require(
        spread <= _SYMMETRY * scale,
        f"`patterns` must all have the same product with their mean, which varies by {spread:.3g}; "
        "use `count_minima` and `largest_eigenvalue` for sets without this symmetry.",
    )
