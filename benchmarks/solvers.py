"""Guarded Anderson against Picard and unguarded Anderson, on networks of a given difficulty.

    python benchmarks/solvers.py

Same maps, same start, same tolerance (relative residual 1e-5, cap 300), 64 examples, five seeds. Other libraries'
solvers: `hopfax bench --peers --only solve`. Energies are those of the states returned; an
evaluation is a sweep.
"""

import statistics as stats

import equinox as eqx
import jax
import jax.numpy as jnp
from common import arguments, interleaved, write

import hopfax
from hopfax.apps.bench.solving import random_network

TOLERANCE, CAP, SEEDS = 1e-5, 300, range(5)
RADII = (0.9, 0.99, 2.0)


def main() -> None:
    options = arguments(__doc__).parse_args()
    write("solvers", {str(radius): _at(radius, options) for radius in RADII}, options.json)


def _at(radius: float, options) -> dict:
    results = [_one(radius, seed, options) for seed in SEEDS]
    names = list(results[0])
    collect = lambda name, what: [run[name][what] for run in results]
    rows = {name: {what: collect(name, what) for what in results[0][name]} for name in names}
    picard = rows["even-odd Picard"]
    for name in names:
        pairs = zip(rows[name]["evaluations"], picard["evaluations"], strict=True)
        rows[name]["sweeps against Picard"] = stats.median(ours / theirs for ours, theirs in pairs)
    return rows


def _one(radius: float, seed: int, options) -> dict:
    build, biases = random_network(radius, seed)
    calls = {name: _ours(build, biases, *way) for name, way in _ways().items()}
    timed = interleaved(
        {n: lambda c=c: jax.block_until_ready(c()) for n, c in calls.items()}, max(3, options.rounds // 20)
    )
    return {name: _row(build, biases, call(), timed[name]) for name, call in calls.items()}


def _ways() -> dict:
    guarded, picard = hopfax.solvers.Anderson(), hopfax.solvers.Picard()
    unguarded = hopfax.solvers.Anderson(
        safeguard=hopfax.solvers.Unguarded(), start_rtol=float("inf"), max_overrelaxation=1.0, delay=0
    )
    return {
        "even-odd Picard": (hopfax.EvenOdd(), picard),
        "even-odd guarded Anderson": (hopfax.EvenOdd(), guarded),
        "even-odd unguarded Anderson": (hopfax.EvenOdd(), unguarded),
        "even-odd published Anderson": (hopfax.EvenOdd(), hopfax.papers.PUBLISHED_ANDERSON),
        "synchronous Picard": (hopfax.Synchronous(), picard),
    }


def _ours(build, biases, update, solver):
    """A call that gives kept states and evaluations of each example."""

    @eqx.filter_jit
    def solve(biases):
        relax = lambda own: hopfax.relax(
            build(own),
            method=hopfax.Method(update=update, solver=solver, rtol=TOLERANCE, atol=0.0, max_steps=CAP),
        )
        equilibrium = jax.vmap(relax)(biases)
        return equilibrium.state, equilibrium.statistics.evaluations

    return lambda: solve(biases)


@eqx.filter_jit
def _judge(build, biases, states):
    """Relative residual of the even-odd map, recomputed the same way for all contestants, and energy."""

    def one(own, states):
        model, update = build(own), hopfax.EvenOdd()
        kept = {name: states[name] for name in update.unknowns(model)}
        image = update.image(model, kept)
        flat = lambda tree: jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(tree)])
        residual = jnp.linalg.norm(flat(image) - flat(kept)) / jnp.linalg.norm(flat(image))
        return residual, model.energy(update.reconstruct(model, kept))

    return jax.vmap(one)(biases, states)


def _row(build, biases, solved, timed) -> dict:
    states, evaluations = solved
    residual, energy = _judge(build, biases, states)
    return {
        "converged": int(jnp.sum(residual <= 1.05 * TOLERANCE)),  # rounding of a second evaluation
        "evaluations": float(jnp.mean(evaluations)),
        "energy": float(jnp.mean(energy)),
        "milliseconds": timed["median"],
    }


if __name__ == "__main__":
    main()
