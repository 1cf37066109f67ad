"""The energy landscape of a memory: its minima, the regime they show, and the energy over the plane.

The energy is that of `ModernHopfield(patterns, beta, similarity=Euclidean())`, which is that of a Gaussian mixture:
`E(x) + const = -log(Σ_μ exp(-β |x - x_μ|² / 2)) / β`. All is computed in double precision, from NumPy arrays to NumPy
arrays.
"""

import enum
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..._internal.checks import as_integer, check_patterns, check_positive, require
from ...memory.modern import ModernHopfield
from ...memory.phase import Thresholds, beta_for_mean_field, largest_eigenvalue, thresholds
from ...memory.phase.effective import check_betas
from ...memory.sharded import ShardedPatterns
from ...memory.similarities import Euclidean
from ...memory.streaming import retrieve

MERGE = 1e-3  # states closer than this, relative to the spread of the patterns, count as one
REACH = 1.6  # the plane shown is [-REACH, REACH] in both directions
_TOLERANCE, _MAX_STEPS = 1e-10, 3000
_STARTS = 9  # the side of the grid of starts from which minima in the plane are searched


class Regime(enum.StrEnum):
    """What is recalled: one average from every query, averages and patterns, or the single patterns."""

    AVERAGING = "averaging"
    METASTABLE = "metastable"
    SINGLE = "single pattern"


class EnergyMinima(eqx.Module):
    """The distinct minima, the deepest first.

    Args:
        states: the minima.
        energy: the energy of each.
        reached: the index of the minimum that is reached from each pattern; -1 if none of them is.
    """

    states: Float[np.ndarray, "minima dimension"]
    energy: Float[np.ndarray, " minima"]
    reached: Int[np.ndarray, " patterns"]

    @property
    def regime(self) -> Regime:
        """Averaging with one minimum; single pattern with one for each pattern and no other; else metastable."""
        if len(self.states) == 1:
            return Regime.AVERAGING
        one_each = len(np.unique(self.reached)) == len(self.reached) == len(self.states)
        return Regime.SINGLE if one_each and np.all(self.reached >= 0) else Regime.METASTABLE


class Landscape(eqx.Module):
    """The energy over the plane: `heights[i, j]` is the energy at `(axis[j], axis[i])`."""

    axis: Float[np.ndarray, " side"]
    heights: Float[np.ndarray, "side side"]
    minima: EnergyMinima


def equidistant_thresholds(patterns: Float[np.ndarray, "patterns dimension"]) -> Thresholds:
    """The thresholds in `beta` of as many equidistant patterns with the mean squared distance of these.

    They are exact if `is_equidistant`, and a first guess otherwise. Raises: `ValueError` for fewer than two patterns,
    or patterns that are all equal.
    """
    with jax.enable_x64(True):
        unit = beta_for_mean_field(jnp.asarray(patterns, float), 1.0)
        return thresholds(len(patterns)).scaled(float(unit))


def is_equidistant(patterns: Float[np.ndarray, "patterns dimension"], rtol: float = 1e-6) -> bool:
    """Whether all pairs of patterns have the same distance, to a relative tolerance."""
    distances = np.linalg.norm(patterns[:, None] - patterns[None], axis=-1)
    pairs = distances[np.triu_indices(len(patterns), 1)]
    return bool(np.ptp(pairs) <= rtol * pairs.max())


def find_minima(
    patterns: Float[np.ndarray, "patterns dimension"],
    beta: float,
    starts: Float[np.ndarray, "starts dimension"] | None = None,
) -> EnergyMinima:
    """The minima that the update reaches from every pattern, from the mean of the patterns, and from `starts`.

    A state is a minimum if every eigenvalue of the Jacobian of the update is below one there. Raises: `ValueError` for
    bad patterns, or `beta` not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    others = np.zeros((0, patterns.shape[1])) if starts is None else starts
    states = np.concatenate([patterns, patterns.mean(axis=0)[None], others])
    with jax.enable_x64(True):
        arrays = (jnp.asarray(array, float) for array in (patterns, beta, states))
        ends, energy, eigenvalue = (np.asarray(array) for array in _retrieve(*arrays))
    return _distinct(ends, energy, eigenvalue, patterns)


def minima_counts(
    patterns: Float[np.ndarray, "patterns dimension"], betas: Float[np.ndarray, " betas"]
) -> Int[np.ndarray, " betas"]:
    """The number of minima at each of `betas`.

    Raises: `ValueError` as `find_minima`, and for `betas` that do not increase strictly.
    """
    check_betas(betas)
    return np.array([len(find_minima(patterns, beta).states) for beta in betas])


def landscape(patterns: Float[np.ndarray, "patterns dimension"], beta: float, side: int = 49) -> Landscape:
    """The energy on a grid of `side` times `side` points, and the minima that are reached from a grid of starts.

    Raises: `ValueError` for patterns that are not in the plane or not finite, fewer than two of them, `beta` not
    positive, or `side` below 2.
    """
    require(patterns.shape[1] == 2, f"`patterns` must have 2 values a row, got {patterns.shape[1]}.")
    check_patterns(patterns)
    check_positive("beta", beta)
    axis = np.linspace(-REACH, REACH, as_integer("side", side, 2))
    with jax.enable_x64(True):
        arrays = (jnp.asarray(array, float) for array in (patterns, beta, _grid(axis)))
        heights = np.asarray(_energies(*arrays)).reshape(side, side)
    starts = _grid(np.linspace(-REACH, REACH, _STARTS))
    return Landscape(axis, heights, find_minima(patterns, beta, starts))


@eqx.filter_jit
def _retrieve(patterns, beta, starts):
    """The ends of all starts, their energies, and the largest eigenvalues of the Jacobian of the update there."""
    network = ModernHopfield(patterns, beta, similarity=Euclidean())
    stored = ShardedPatterns(patterns, Euclidean(), len(patterns))
    states = retrieve(stored, starts, beta, tolerance=_TOLERANCE, max_steps=_MAX_STEPS).state
    eigenvalues = jax.vmap(partial(largest_eigenvalue, network))(states)
    return states, jax.vmap(network.energy)(states), eigenvalues


@eqx.filter_jit
def _energies(patterns, beta, points):
    return jax.vmap(ModernHopfield(patterns, beta, similarity=Euclidean()).energy)(points)


def _distinct(states, energy, eigenvalue, patterns) -> EnergyMinima:
    stable = np.flatnonzero(eigenvalue < 1)
    stable = stable[np.argsort(energy[stable], kind="stable")]
    limit = MERGE * np.max(np.linalg.norm(patterns - patterns.mean(axis=0), axis=1))
    minima: list[int] = []
    for index in stable:
        if all(np.linalg.norm(states[index] - states[other]) > limit for other in minima):
            minima.append(int(index))
    distances = np.linalg.norm(states[: len(patterns), None] - states[None, minima], axis=-1)
    reached = np.where(distances.min(axis=1) <= limit, distances.argmin(axis=1), -1)
    return EnergyMinima(states[minima], energy[minima], reached)


def _grid(axis: Float[np.ndarray, " side"]) -> Float[np.ndarray, "points 2"]:
    """All points of the grid, row by row."""
    x, y = np.meshgrid(axis, axis)
    return np.stack([x.reshape(-1), y.reshape(-1)], axis=1)
