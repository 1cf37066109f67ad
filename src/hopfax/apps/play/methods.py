"""One query relaxed by three methods."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ..._internal.checks import check_patterns, check_positive
from ...memory.modern import VISIBLE, ModernHopfield
from ...memory.similarities import Euclidean
from ...method import Method
from ...networks.layers import PartialClamp
from ...relax import relax
from ...solvers import Anderson, Picard
from ...updates.block import EvenOdd, Synchronous

METHODS = {
    "synchronous": (Synchronous(), Picard()),
    "even-odd": (EvenOdd(), Picard()),
    "even-odd, Anderson": (EvenOdd(), Anderson()),
}
MAX_STEPS = 400


class MethodResult(eqx.Module):
    """The equilibrium that one method finds.

    Args:
        name: of the method, in `METHODS`.
        state: of the visible layer.
        energy: at the equilibrium.
        sweeps: the number of updates, with the one that confirms convergence. Each takes one product with the patterns
            and one with their transpose.
        converged: whether the relative residual fell below the tolerance.
        trace: the relative residual of each sweep.
    """

    name: str
    state: Float[np.ndarray, " dimension"]
    energy: float
    sweeps: int
    converged: bool
    trace: Float[np.ndarray, " sweeps"]


def compare_methods(
    patterns: Float[np.ndarray, "patterns dimension"],
    query: Float[np.ndarray, " dimension"],
    beta: float,
    clamped: Bool[np.ndarray, " dimension"] | None = None,
    *,
    rtol: float = 1e-6,
) -> list[MethodResult]:
    """The memory as a `HAM` of two layers, relaxed from `query` by each of `METHODS` to the same `rtol`.

    Raises: `ValueError` for bad patterns, or `beta` not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    clamped = np.zeros(query.shape, bool) if clamped is None else clamped
    with jax.enable_x64(True):
        rows, beta_array = jnp.asarray(patterns, float), jnp.asarray(beta, float)
        ham = ModernHopfield(rows, beta_array, similarity=Euclidean()).ham()
        clamp = {VISIBLE: PartialClamp(jnp.asarray(query, float), jnp.asarray(clamped))}
        return [_relax(name, ham, clamp, rtol) for name in METHODS]


def largest_distance(results: Sequence[MethodResult]) -> float:
    """The largest distance of an equilibrium from the first one, over the norm of the first one."""
    first = results[0].state
    distances = [np.linalg.norm(result.state - first) for result in results[1:]]
    return float(max(distances) / max(np.linalg.norm(first), 1e-300))


def _relax(name: str, ham, clamp, rtol: float) -> MethodResult:
    update, solver = METHODS[name]
    equilibrium = relax(
        ham,
        clamp,
        start={VISIBLE: clamp[VISIBLE].state},
        method=Method(update=update, solver=solver, rtol=rtol, atol=0.0, max_steps=MAX_STEPS),
        trace=MAX_STEPS + 1,
    )
    trace = np.asarray(equilibrium.trace.residual)
    return MethodResult(
        name,
        np.asarray(equilibrium.activation[VISIBLE]),
        float(equilibrium.energy),
        int(equilibrium.statistics.evaluations),
        bool(equilibrium.converged),
        trace[np.isfinite(trace)],
    )
