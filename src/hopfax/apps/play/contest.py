"""One query relaxed in three ways, side by side."""

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

CONTESTANTS = {
    "synchronous": Method(Synchronous(), Picard()),
    "even-odd": Method(EvenOdd(), Picard()),
    "even-odd, Anderson": Method(EvenOdd(), Anderson()),
}
MAX_STEPS = 400


class Relaxed(eqx.Module):
    """One way's equilibrium and what it took.

    `sweeps`: updates of the network evaluated, the confirming one included; each is one product with the patterns
    and one with their transpose. `trace`: the relative residual at each of them.
    """

    name: str
    state: Float[np.ndarray, " dimension"]
    energy: float
    sweeps: int
    converged: bool
    trace: Float[np.ndarray, " sweeps"]


def contest(
    patterns: Float[np.ndarray, "patterns dimension"],
    query: Float[np.ndarray, " dimension"],
    beta: float,
    held: Bool[np.ndarray, " dimension"] | None = None,
    *,
    rtol: float = 1e-6,
) -> list[Relaxed]:
    """The memory as a `HAM` of two layers, relaxed from `query` by each of `CONTESTANTS` to the same `rtol`.

    Raises: `ValueError` for bad patterns, or `beta` not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    held = np.zeros(query.shape, bool) if held is None else held
    with jax.enable_x64(True):
        memory = jnp.asarray(patterns, float), jnp.asarray(beta, float)
        ham = ModernHopfield(*memory, similarity=Euclidean()).ham()
        clamp = {VISIBLE: PartialClamp(jnp.asarray(query, float), jnp.asarray(held))}
        return [_relaxed(name, method, ham, clamp, rtol) for name, method in CONTESTANTS.items()]


def _relaxed(name: str, method: Method, ham, clamp, rtol: float) -> Relaxed:
    found = relax(
        ham,
        clamp,
        start={VISIBLE: clamp[VISIBLE].state},
        method=Method(update=method.update, solver=method.solver, rtol=rtol, atol=0.0, max_steps=MAX_STEPS),
        trace=MAX_STEPS + 1,
    )
    trace = np.asarray(found.statistics.trace)
    return Relaxed(
        name,
        np.asarray(found.activation[VISIBLE]),
        float(found.energy),
        int(found.statistics.evaluations),
        bool(found.converged),
        trace[np.isfinite(trace)],
    )


def disagreement(found: list[Relaxed]) -> float:
    """The largest distance of two of the equilibria, over the norm of the first."""
    apart = [np.linalg.norm(one.state - found[0].state) for one in found[1:]]
    return float(max(apart) / max(np.linalg.norm(found[0].state), 1e-300))
