"""Time from zero state to a relative residual of 1e-5: even-odd against hamux's Euler loop.

    pip install hamux fastcore && python benchmarks/time_to_residual.py

784-512-10, sigmoid neurons, clamped input, batch 64. hamux ships no solver: its users write the Euler loop,
so each step size gets as many steps as its worst example needs, counted beforehand, and the whole loop is
compiled.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from common import arguments, interleaved, ratio, write

import hopfax

LAYERS, BATCH, TOLERANCE = (784, 512, 10), 64, 1e-5
SCALES, STEP = (0.02, 0.1, 0.2), 0.5


def main() -> None:
    options = arguments(__doc__).parse_args()
    write("time_to_residual", {str(scale): _at(scale, options.rounds) for scale in SCALES}, options.json)


def _at(scale: float, rounds: int) -> dict:
    weights = [scale * jr.normal(jr.key(i), shape) for i, shape in enumerate([(784, 512), (512, 10)])]
    images = jr.normal(jr.key(7), (BATCH, LAYERS[0]))
    relaxed = {name: _hopfax(weights, solver) for name, solver in _solvers().items()}
    output = {name: jax.jit(lambda x, f=f: f(x).activation["output"]) for name, f in relaxed.items()}
    euler, steps = _hamux(weights, images)
    calls = {name: lambda f=f: jax.block_until_ready(f(images)) for name, f in output.items()}
    times = interleaved({**calls, "hamux Euler": lambda: jax.block_until_ready(euler())}, rounds)
    found = {name: f(images) for name, f in relaxed.items()}
    difference = {name: float(jnp.max(jnp.abs(f(images) - euler()))) for name, f in output.items()}
    return {
        "milliseconds": times,
        "speed-up": {name: ratio(times, "hamux Euler", name) for name in relaxed},
        "steps": {"hamux Euler": steps} | {name: int(jnp.max(f.steps)) for name, f in found.items()},
        "worst relative residual": {
            n: float(jnp.max(f.statistics.relative_residual)) for n, f in found.items()
        },
        "largest difference of output activations": difference,
    }


def _solvers():
    return {"even-odd Picard": hopfax.solvers.Picard(), "even-odd Anderson": hopfax.solvers.Anderson()}


def _hopfax(weights, solver):
    sigmoid = hopfax.lagrangians.Sigmoid()
    names = ("input", "hidden", "output")
    layers = {name: hopfax.Layer(size, sigmoid) for name, size in zip(names, LAYERS, strict=True)}
    synapses = [hopfax.Dense(pair, w) for pair, w in zip([names[:2], names[1:]], weights, strict=True)]
    model, update = hopfax.HAM(layers, synapses), hopfax.EvenOdd()
    return lambda x: hopfax.relax(
        model, {"input": x}, update=update, solver=solver, rtol=TOLERANCE, atol=0, max_steps=500
    )


def _hamux(weights, images):
    """The compiled Euler loop and its number of steps."""
    import hamux

    neurons = {
        n: hamux.NeuronLayer(hamux.lagr_sigmoid, (size,)) for n, size in zip("xhy", LAYERS, strict=True)
    }
    network = hamux.HAM(
        neurons,
        {"w": hamux.LinearSynapse(weights[0]), "v": hamux.LinearSynapse(weights[1])},
        [(("x", "h"), "w"), (("h", "y"), "v")],
    ).vectorize()

    def step(state):
        force = network.dEdact(network.activations(state), state)
        moved = {name: state[name] - STEP * force[name] for name in "hy"}
        size = jnp.sqrt(
            sum(jnp.sum(force[n] ** 2, -1) for n in "hy") / sum(jnp.sum(moved[n] ** 2, -1) for n in "hy")
        )
        return {**moved, "x": state["x"]}, jnp.max(size)

    start = {"x": images, "h": jnp.zeros((BATCH, LAYERS[1])), "y": jnp.zeros((BATCH, LAYERS[2]))}
    _, sizes = jax.jit(lambda s: jax.lax.scan(lambda s, _: step(s), s, None, length=500))(start)
    steps = int(jnp.argmax(sizes < TOLERANCE)) + 1
    body = lambda _, s: step(s)[0]
    loop = jax.jit(lambda s: network.activations(jax.lax.fori_loop(0, steps, body, s))["y"])
    return lambda: loop(start), steps


if __name__ == "__main__":
    main()
