"""Recall step by step, with the energy and the shares at every step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from ..._internal.checks import check_patterns, check_positive, require
from ...memory.modern import ModernHopfield
from ...memory.phase import StateKind
from ...memory.phase.classification import classify_weights
from ...memory.similarities import Euclidean

TOLERANCE = 1e-6  # of the largest move that patterns allow: a step below it counts as rest
MAX_STEPS = 200


class Path(eqx.Module):
    """States from the query (entry 0) to rest, with energy and weights at each; `rests` if it came to rest.

    `kind`: a `phase.StateKind` of the last state, `size`: how many patterns it averages over.
    """

    states: Float[np.ndarray, "steps dimension"]
    energy: Float[np.ndarray, " steps"]
    shares: Float[np.ndarray, "steps patterns"]
    rests: bool
    kind: StateKind
    size: int

    @property
    def steps(self) -> int:
        """Updates made."""
        return len(self.energy) - 1

    @property
    def ends(self) -> str:
        """What the last state stands for, in words."""
        blends = {StateKind.GLOBAL: "the average of all", StateKind.PATTERN: "one pattern"}
        return blends.get(self.kind, f"a blend of {self.size}") + ("" if self.rests else " (still moving)")


def query_of(
    image: Float[np.ndarray, " pixels"],
    known: Bool[np.ndarray, " pixels"],
    patterns: Float[np.ndarray, "patterns pixels"],
) -> Float[np.ndarray, " pixels"]:
    """The image where it is known, the mean of the patterns where it was destroyed."""
    return np.where(known, image, patterns.mean(axis=0))


def recall_path(
    patterns: Float[np.ndarray, "patterns dimension"],
    query: Float[np.ndarray, " dimension"],
    beta: float,
    held: Bool[np.ndarray, " dimension"] | None = None,
) -> Path:
    """`x ← Xᵀ softmax(β (X x + t))`, `t_μ = -|x_μ|²/2`, from `query`; values at `held` stay as they are.

    Each step is an exact minimisation over the memory layer and then over what is not held of the visible one, so
    the energy never rises. At most `MAX_STEPS`. Raises: `ValueError` for bad patterns, a query that is not
    finite, or `beta` not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    require(np.isfinite(query).all(), "`query` must be finite; give numbers where it was destroyed too.")
    held = np.zeros(query.shape, bool) if held is None else held
    with jax.enable_x64(True):
        rows, start = jnp.asarray(patterns, float), jnp.asarray(query, float)
        states, energy, shares = _steps(rows, start, jnp.asarray(beta, float), jnp.asarray(held))
        return _cut(np.asarray(states), np.asarray(energy), np.asarray(shares), patterns)


def class_shares(
    shares: Float[np.ndarray, "*steps patterns"], labels: Int[np.ndarray, " patterns"], classes: int
) -> Float[np.ndarray, "*steps classes"]:
    """The shares of all patterns of a class together."""
    return shares @ (labels[:, None] == np.arange(classes)[None, :]).astype(float)


@eqx.filter_jit
def _steps(patterns, query, beta, held):
    network = ModernHopfield(patterns, beta, similarity=Euclidean())

    def step(state, _):
        share = network.weights(state)
        return jnp.where(held, query, share @ patterns), (state, network.energy(state), share)

    return lax.scan(step, query, length=MAX_STEPS + 1)[1]


def _cut(states, energy, shares, patterns) -> Path:
    """The path up to the first state that moves no more."""
    scale = np.max(np.linalg.norm(patterns - patterns.mean(axis=0), axis=1))
    still = np.linalg.norm(np.diff(states, axis=0), axis=1) <= TOLERANCE * scale
    last = int(np.argmax(still)) if still.any() else MAX_STEPS
    with jax.enable_x64(True):
        found = classify_weights(jnp.asarray(shares[last]))
    cut = slice(0, last + 1)
    return Path(
        states[cut], energy[cut], shares[cut], bool(still.any()), StateKind(int(found.kind)), int(found.size)
    )
