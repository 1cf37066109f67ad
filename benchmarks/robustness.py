"""Does the default method ever fail? Random chains of 3 to 7 layers with couplings up to 10.

    python benchmarks/robustness.py [--examples 32] [--networks 4] [--double]

Weights between layers of at most `n` neurons are `N(0, c² / n)` with the coupling `c`, so that their norm is about
`2c`; a chain of ReLU neurons is scaled to a norm below one instead, as it has no equilibrium otherwise. A relaxation
may take 500 sweeps to a relative residual of 1e-5 in float32, or 1e-10 with `--double`. Stored are failures, sweeps,
and the largest relative residual that float64 sees at the points that are returned as converged.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from common import arguments, write
from jaxtyping import Array, Float, Key

import hopfax
from hopfax._internal.tree import cast
from hopfax.lagrangians import AbstractLagrangian, HardSigmoid, ReLU, Sigmoid, Tanh
from hopfax.updates.problem import Problem

DEPTHS = (3, 4, 5, 7)
INPUT, HIDDEN, OUTPUT = 32, 48, 10
NEURONS: dict[str, tuple[AbstractLagrangian, tuple[float, ...]]] = {
    "tanh": (Tanh(), (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)),
    "sigmoid": (Sigmoid(), (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)),
    "steep sigmoid": (Sigmoid(4.0), (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)),
    "hard sigmoid": (HardSigmoid(), (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)),
    "ReLU": (ReLU(), (0.5, 0.9, 0.99)),
}
MAX_STEPS = 500


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--examples", type=int, default=32, help="of each network")
    parser.add_argument("--networks", type=int, default=4, help="of each kind, depth and coupling")
    parser.add_argument("--double", action="store_true", help="in float64, to 1e-10")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rtol = 1e-10 if options.double else 1e-5
    rows = []
    for name, depth in itertools.product(NEURONS, DEPTHS):
        rows.append(_row(name, depth, options, rtol))
        print(rows[-1], flush=True)
    total = {key: sum(row[key] for row in rows) for key in ("examples", "failed")}
    result = {"rtol": rtol, "max_steps": MAX_STEPS, "seed": options.seed, **total, "rows": rows}
    write("robustness_double" if options.double else "robustness", result, options.json)


def _row(name: str, depth: int, options: Any, rtol: float) -> dict[str, Any]:
    """All couplings and networks of one kind and depth."""
    dtype = jnp.float64 if options.double else jnp.float32
    method = hopfax.Method(rtol=rtol, atol=0.0, max_steps=MAX_STEPS)
    solve = eqx.filter_jit(lambda model, images: _solve(model, images, method))
    results = []
    for model, key in _networks(name, depth, options.networks, options.seed):
        images = jr.normal(key, (options.examples, INPUT), dtype)
        results.append(jax.tree.map(np.asarray, solve(cast(model, dtype), images)))
    converged, sweeps, residual = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return {
        "neurons": name,
        "layers": depth,
        "examples": len(converged),
        "failed": int(np.sum(~converged)),
        "sweeps": {"mean": float(sweeps.mean()), "most": int(sweeps.max())},
        "residual_in_float64": float(residual[converged].max()),
    }


def _solve(model: hopfax.HAM, images: Float[Array, "examples pixels"], method: hopfax.Method):
    equilibrium = hopfax.relax(model, {"input": images}, method=method)
    double = cast(model, jnp.float64)

    def residual(image, state):
        problem = Problem(double.condition({"input": image}), hopfax.EvenOdd())
        _, info = problem.evaluate(problem.restrict(state), energy=False)
        return info.residual / info.scale

    in_double = jax.vmap(residual)(*cast((images, equilibrium.state), jnp.float64))
    return equilibrium.converged, equilibrium.statistics.evaluations, in_double


def _networks(name: str, depth: int, count: int, seed: int) -> Iterator[tuple[hopfax.HAM, Key[Array, ""]]]:
    """Networks of every coupling, and a key for their images."""
    lagrangian, couplings = NEURONS[name]
    sizes = (INPUT, *[HIDDEN] * (depth - 2), OUTPUT)
    chain = hopfax.chain(sizes, lagrangian, key=jr.key(0))
    for coupling, network in itertools.product(couplings, range(count)):
        key = jr.fold_in(jr.fold_in(jr.key(seed), round(1000 * coupling) + depth), network)
        model = _random(chain, coupling, key)
        yield (_bounded(model, coupling) if name == "ReLU" else model), jr.fold_in(key, 1)


def _random(chain: hopfax.HAM, coupling: float, key: Key[Array, ""]) -> hopfax.HAM:
    arrays, static = eqx.partition(chain.synapses, eqx.is_array)
    leaves, tree = jax.tree.flatten(arrays)
    spread = lambda shape: coupling / np.sqrt(max(shape)) if len(shape) == 2 else 0.1
    drawn = [
        spread(x.shape) * jr.normal(k, x.shape)
        for k, x in zip(jr.split(key, len(leaves)), leaves, strict=True)
    ]
    return eqx.tree_at(lambda m: m.synapses, chain, eqx.combine(jax.tree.unflatten(tree, drawn), static))


def _bounded(model: hopfax.HAM, norm: float) -> hopfax.HAM:
    """The model with the weights between free layers scaled so that their block matrix has this norm."""
    weights = [synapse.weight for synapse in model.synapses.values() if isinstance(synapse, hopfax.Dense)][1:]
    sizes = np.cumsum([0, HIDDEN, *(w.shape[1] for w in weights)])
    block = np.zeros((sizes[-1], sizes[-1]))
    for w, i, j, k in zip(weights, sizes, sizes[1:], sizes[2:], strict=False):
        block[i:j, j:k] = w
    factor = norm / np.linalg.norm(block + block.T, 2)
    scale = lambda x: (factor * x) if eqx.is_array(x) and x.ndim == 2 else x
    return eqx.tree_at(lambda m: m.synapses, model, jax.tree.map(scale, model.synapses))


if __name__ == "__main__":
    main()
