"""float32 gradients of 784-512-10 against the float64 reference.

    python benchmarks/precision.py [--model DIR]

Relative error over all weights, for the methods that are exact in the limit, each with enough steps or a
small enough nudge that what is left is rounding. A fresh network by default, or a trained one.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from common import arguments, write

import hopfax
from hopfax._internal.tree import cast, squares, subtract
from hopfax.gradients import (
    ConjugateGradient,
    EquilibriumPropagation,
    Implicit,
    Iterated,
    Krylov,
    Phantom,
    RecurrentBackprop,
    Unrolled,
)

LAYERS, BATCH = (784, 512, 10), 64
METHODS = {
    "implicit, conjugate gradients": Implicit(),
    "implicit, GMRES": Implicit(Krylov()),
    "implicit, Anderson": Implicit(Iterated()),
    "recurrent backprop, 200 steps": RecurrentBackprop(200, 1e-6),
    "phantom, 200 steps": Phantom(200),
    "unrolled, 200 steps": Unrolled(200),
    "equilibrium propagation, centred, beta 0.002": EquilibriumPropagation(0.002),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, help="folder of a trained model")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    model = hopfax.load_model(options.model) if options.model else hopfax.chain(LAYERS, key=jr.key(0))
    images = jr.uniform(jr.key(1), (BATCH, LAYERS[0]), jnp.float32)
    targets = jax.nn.one_hot(jr.randint(jr.key(2), (BATCH,), 0, 10), 10, dtype=jnp.float32)
    tight = hopfax.Method(gradient=Implicit(ConjugateGradient(1e-13, 500)), rtol=1e-12, max_steps=2000)
    reference = _gradient(*cast((model, images, targets), jnp.float64), tight)
    errors = {}
    for name, gradient in METHODS.items():
        gradients = _gradient(
            model, images, targets, hopfax.Method(gradient=gradient, rtol=1e-6, max_steps=500)
        )
        errors[name] = float(
            jnp.sqrt(squares(subtract(cast(gradients, jnp.float64), reference)) / squares(reference))
        )
    write(
        "precision",
        {"relative error": errors, "model": str(options.model.name if options.model else "fresh")},
        options.json,
    )


@eqx.filter_jit
def _gradient(model, images, targets, method):
    cost = hopfax.costs.SquaredError()
    value = lambda m: jnp.mean(hopfax.objective(m, {"input": images}, cost, targets, method=method)[0])
    return eqx.filter(eqx.filter_grad(value)(model), eqx.is_array)


if __name__ == "__main__":
    main()
