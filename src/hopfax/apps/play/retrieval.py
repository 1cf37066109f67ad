"""Recall step by step, with the energy and the weights at every step."""

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

TOLERANCE = 1e-6  # a step below it, relative to the spread of the patterns, counts as convergence
MAX_STEPS = 200


class RecallPath(eqx.Module):
    """The states from the query to the end of the recall.

    Args:
        states: the query, then the state after each step.
        energy: of each state.
        weights: of the patterns in the update of each state.
        converged: whether the last state no longer moves.
        kind: the `StateKind` of the last state.
        size: the number of patterns that the last state averages over.
    """

    states: Float[np.ndarray, "steps dimension"]
    energy: Float[np.ndarray, " steps"]
    weights: Float[np.ndarray, "steps patterns"]
    converged: bool
    kind: StateKind
    size: int

    @property
    def steps(self) -> int:
        """The number of updates."""
        return len(self.energy) - 1

    @property
    def description(self) -> str:
        """The last state in words."""
        words = {StateKind.GLOBAL: "the average of all", StateKind.PATTERN: "one pattern"}
        text = words.get(self.kind, f"an average of {self.size}")
        return text if self.converged else f"{text} (not converged)"


def initial_query(
    image: Float[np.ndarray, " pixels"],
    known: Bool[np.ndarray, " pixels"],
    patterns: Float[np.ndarray, "patterns pixels"],
) -> Float[np.ndarray, " pixels"]:
    """The known pixels of the image, and the mean of the patterns in place of the unknown ones."""
    return np.where(known, image, patterns.mean(axis=0))


def recall_path(
    patterns: Float[np.ndarray, "patterns dimension"],
    query: Float[np.ndarray, " dimension"],
    beta: float,
    clamped: Bool[np.ndarray, " dimension"] | None = None,
) -> RecallPath:
    """`x ← Xᵀ softmax(β (X x + t))` with `t_μ = -|x_μ|²/2`, from `query`; elements in `clamped` keep their values.

    Each step minimises the energy exactly over the memory layer, then over the free elements of the visible layer, so
    the energy never increases. There are at most `MAX_STEPS` steps. Raises: `ValueError` for bad patterns, a query
    that is not finite, or `beta` not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    require(
        np.isfinite(query).all(), "`query` must be finite; give initial values for unknown elements, too."
    )
    clamped = np.zeros(query.shape, bool) if clamped is None else clamped
    with jax.enable_x64(True):
        rows, start = jnp.asarray(patterns, float), jnp.asarray(query, float)
        trace = _run(rows, start, jnp.asarray(beta, float), jnp.asarray(clamped))
        states, energy, weights = (np.asarray(array) for array in trace)
        return _path(states, energy, weights, patterns)


def class_weights(
    weights: Float[np.ndarray, "*steps patterns"], labels: Int[np.ndarray, " patterns"], classes: int
) -> Float[np.ndarray, "*steps classes"]:
    """The sum of the weights of the patterns of each class."""
    return weights @ (labels[:, None] == np.arange(classes)[None, :]).astype(float)


@eqx.filter_jit
def _run(patterns, query, beta, clamped):
    network = ModernHopfield(patterns, beta, similarity=Euclidean())

    def step(state, _):
        weights = network.weights(state)
        return jnp.where(clamped, query, weights @ patterns), (state, network.energy(state), weights)

    return lax.scan(step, query, length=MAX_STEPS + 1)[1]


def _path(states, energy, weights, patterns) -> RecallPath:
    """The path up to the first state that no longer moves."""
    scale = np.max(np.linalg.norm(patterns - patterns.mean(axis=0), axis=1))
    at_rest = np.linalg.norm(np.diff(states, axis=0), axis=1) <= TOLERANCE * scale
    converged = bool(at_rest.any())
    last = int(np.argmax(at_rest)) if converged else MAX_STEPS
    with jax.enable_x64(True):
        end = classify_weights(jnp.asarray(weights[last]))
    path = slice(0, last + 1)
    kind, size = StateKind(int(end.kind)), int(end.size)
    return RecallPath(states[path], energy[path], weights[path], converged, kind, size)
