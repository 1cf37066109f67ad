"""Products that the adjoint solve takes: conjugate gradients on the kept half against GMRES and the Neumann series.

    python benchmarks/backward.py

The same equilibria (float64), cotangents and tolerance. GMRES(30) runs on the synchronous adjoint `u - Jᵀ u =
v` of all free layers, as a general implicit layer does; conjugate gradients on the kept half that even-odd
elimination leaves. A product with the even-odd `K` is two half sweeps: the work of one synchronous product.
"""

import jax
import jax.flatten_util
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from common import arguments, write
from scipy.sparse.linalg import LinearOperator, gmres

import hopfax
from hopfax.apps.bench.solving import random_network
from hopfax.gradients import ConjugateGradient, Neumann
from hopfax.updates.problem import Problem

TOLERANCE, EXAMPLES = 1e-5, 8
RADII, SEEDS = (0.9, 0.99, 1.2, 2.0), range(3)


def main() -> None:
    options = arguments(__doc__).parse_args()
    jax.config.update("jax_enable_x64", True)
    write("backward", {str(radius): _at(radius) for radius in RADII}, options.json)


def _at(radius: float) -> dict:
    runs = [_one(radius, seed) for seed in SEEDS]
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def _one(radius: float, seed: int) -> dict:
    build, biases = random_network(radius, seed, batch=EXAMPLES)
    biases = [b.astype(jnp.float64) for b in biases]
    relax = lambda own: hopfax.relax(build(own), method=hopfax.Method(rtol=1e-10, atol=0.0, max_steps=5000))
    states = jax.jit(jax.vmap(lambda own: relax(own).state))(biases)
    cotangent = {name: jr.normal(jr.key(9), x.shape, x.dtype) for name, x in states.items()}
    even_odd = jax.jit(jax.vmap(lambda own, s, v: _ours(build(own), s, v, ConjugateGradient(TOLERANCE, 500))))
    series = jax.jit(jax.vmap(lambda own, s, v: _ours(build(own), s, v, Neumann(5000, TOLERANCE * 1e-1))))
    return {
        "conjugate gradients, even-odd": float(jnp.mean(even_odd(biases, states, cotangent))),
        "Neumann, even-odd": float(jnp.mean(series(biases, states, cotangent))),
        "GMRES(30), synchronous": float(np.mean(_gmres(build, biases, states, cotangent))),
    }


def _ours(model, states, cotangent, adjoint):
    problem = Problem(model, hopfax.EvenOdd())
    kept = problem.restrict(states)
    return adjoint.solve(problem, kept, {name: cotangent[name] for name in kept})[1].products


def _gmres(build, biases, states, cotangent) -> list[int]:
    """Products of SciPy's GMRES for each example."""

    @jax.jit
    def product(own, states, vector):
        model = build(own)
        problem = Problem(model, hopfax.Synchronous())
        flat, unravel = jax.flatten_util.ravel_pytree(states)
        pull = jax.vjp(problem.image, states)[1]
        return vector - jax.flatten_util.ravel_pytree(pull(unravel(vector))[0])[0]

    counts = []
    for i in range(EXAMPLES):
        own, s, v = jax.tree.map(lambda x, i=i: x[i], (biases, states, cotangent))
        right = np.asarray(jax.flatten_util.ravel_pytree(v)[0])
        calls = [0]

        def apply(x, own=own, s=s, calls=calls):
            calls[0] += 1
            return np.array(product(own, s, jnp.asarray(x, jnp.float64)))

        operator = LinearOperator((right.size, right.size), apply, dtype=right.dtype)
        gmres(operator, right, rtol=TOLERANCE, restart=30, maxiter=50)
        counts.append(calls[0])
    return counts


if __name__ == "__main__":
    main()
