"""Which regime a memory is in, found from its minima, and where the theory puts the thresholds.

The energy is that of `ModernHopfield(patterns, beta, similarity=Euclidean())`, which is a Gaussian mixture's:
`E(x) + const = -log(Σ_μ exp(-β |x - x_μ|² / 2)) / β`. All is in double precision, NumPy in and NumPy out.
"""

import enum
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..._internal.checks import check_patterns, check_positive
from ...memory.modern import ModernHopfield
from ...memory.phase import Thresholds, beta_for_mean_field, thresholds
from ...memory.phase.effective import check_betas
from ...memory.sharded import ShardedPatterns
from ...memory.similarities import Euclidean
from ...memory.streaming import retrieve

MERGE = 1e-3  # of the spread of the patterns: closer states are one
_TOLERANCE, _MAX_STEPS = 1e-10, 3000


class Regime(enum.StrEnum):
    """What recall gives: one average for every query, blends beside patterns, or one pattern for each."""

    AVERAGING = "averaging"
    METASTABLE = "metastable"
    SINGLE = "single pattern"


class Minima(eqx.Module):
    """The distinct minima, deepest first. `owner`: the minimum that each pattern ends at, -1 for none of them."""

    states: Float[np.ndarray, "minima dimension"]
    energy: Float[np.ndarray, " minima"]
    owner: Int[np.ndarray, " patterns"]

    @property
    def regime(self) -> Regime:
        """One minimum: averaging. One for each pattern and no other: single pattern. Else metastable."""
        if len(self.states) == 1:
            return Regime.AVERAGING
        each = len(np.unique(self.owner)) == len(self.owner) == len(self.states)
        return Regime.SINGLE if each and np.all(self.owner >= 0) else Regime.METASTABLE


def expected_thresholds(patterns: Float[np.ndarray, "patterns dimension"]) -> Thresholds:
    """`phase.thresholds(N)` in the `beta` of these patterns, their mean squared distance in place of all.

    Exact where `is_equidistant`, a first guess elsewhere. Raises: `ValueError` for fewer than two patterns, or
    patterns that are all equal.
    """
    with jax.enable_x64(True):
        unit = beta_for_mean_field(jnp.asarray(patterns, float), 1.0)
        return thresholds(len(patterns)).scaled(float(unit))


def is_equidistant(patterns: Float[np.ndarray, "patterns dimension"], rtol: float = 1e-6) -> bool:
    """Whether all pairs of patterns have one distance, to `rtol` of it."""
    apart = np.linalg.norm(patterns[:, None] - patterns[None], axis=-1)[np.triu_indices(len(patterns), 1)]
    return bool(np.ptp(apart) <= rtol * apart.max())


def find_minima(
    patterns: Float[np.ndarray, "patterns dimension"],
    beta: float,
    starts: Float[np.ndarray, "starts dimension"] | None = None,
) -> Minima:
    """The minima that the update ends at from every pattern, from their mean, and from `starts`.

    A state counts if every eigenvalue of the update's Jacobian is below one there. Raises: `ValueError` for
    bad patterns, or `beta` not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    more = np.zeros((0, patterns.shape[1])) if starts is None else starts
    begin = np.concatenate([patterns, patterns.mean(axis=0)[None], more])
    with jax.enable_x64(True):
        exact = jnp.asarray(patterns, float), jnp.asarray(beta, float), jnp.asarray(begin, float)
        states, energy, slope = _settled(*exact)
        return _distinct(np.asarray(states), np.asarray(energy), np.asarray(slope), patterns)


def count_against_beta(
    patterns: Float[np.ndarray, "patterns dimension"], betas: Float[np.ndarray, " betas"]
) -> Int[np.ndarray, " betas"]:
    """How many minima there are at each of `betas`. Raises: `ValueError` as `find_minima`, `betas` must rise."""
    check_betas(betas)
    return np.array([len(find_minima(patterns, beta).states) for beta in betas])


@eqx.filter_jit
def _settled(patterns, beta, starts):
    """Where the starts end, the energies there, and the largest eigenvalues of the update's Jacobian."""
    network = ModernHopfield(patterns, beta, similarity=Euclidean())
    rows = ShardedPatterns(patterns, Euclidean(), len(patterns))
    states = retrieve(rows, starts, beta, tolerance=_TOLERANCE, max_steps=_MAX_STEPS).state
    return states, jax.vmap(network.energy)(states), jax.vmap(partial(_slope, patterns, network))(states)


def _slope(patterns, network, state):
    """Largest eigenvalue of `β Yᵀ Y` with `Y = diag(√p) (X - 1 pᵀ X)`, from the smaller Gram matrix."""
    p = network.weights(state)
    factor = jnp.sqrt(p)[:, None] * (patterns - (p @ patterns)[None, :])
    gram = factor @ factor.T if factor.shape[0] <= factor.shape[1] else factor.T @ factor
    return network.memory.beta * jnp.linalg.eigvalsh(gram)[-1]


def _distinct(states, energy, slope, patterns) -> Minima:
    stable = np.flatnonzero(slope < 1)
    stable = stable[np.argsort(energy[stable], kind="stable")]
    limit = MERGE * np.max(np.linalg.norm(patterns - patterns.mean(axis=0), axis=1))
    chosen: list[int] = []
    for place in stable:
        if all(np.linalg.norm(states[place] - states[other]) > limit for other in chosen):
            chosen.append(int(place))
    apart = np.linalg.norm(states[: len(patterns), None] - states[None, chosen], axis=-1)
    nearest = np.where(apart.min(axis=1) <= limit, apart.argmin(axis=1), -1)
    return Minima(states[chosen], energy[chosen], nearest)
