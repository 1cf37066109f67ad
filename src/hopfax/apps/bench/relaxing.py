"""Relaxation from zero to a relative residual of 1e-5: our solvers against the Euler loop of users of hamux."""

import importlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from ... import lagrangians, solvers
from ...method import Method
from ...networks.ham import HAM
from ...networks.layers import Layer
from ...networks.synapses.dense import Dense
from ...relax import relax
from ...updates.block import EvenOdd
from .benchmark import Benchmark, Implementation
from .peers import Peers

LAYERS, BATCH, TOLERANCE = (784, 512, 10), 64, 1e-5
NAMES = ("input", "hidden", "output")
SCALE, STEP = 0.1, 0.5  # of the weights; of Euler's method
OURS = "hopfax, even-odd Picard"


def implementations(peers: Peers) -> Mapping[str, Implementation]:
    """hopfax with Picard iteration and with guarded Anderson, and hamux."""
    keys = jr.split(jr.key(0), len(LAYERS))
    weights = [
        SCALE * jr.normal(key, shape) for key, shape in zip(keys, ((784, 512), (512, 10)), strict=False)
    ]
    images = jr.normal(keys[-1], (BATCH, LAYERS[0]))
    exact = _ours(weights, images, solvers.Picard(), 1e-7)()
    check = lambda output: {"largest difference from the equilibrium": jnp.max(jnp.abs(output - exact))}
    entries = {
        OURS: Implementation(_ours(weights, images, solvers.Picard()), check, ours=True),
        "hopfax, guarded Anderson": Implementation(
            _ours(weights, images, solvers.Anderson()), check, ours=True
        ),
    }
    if peers.has("hamux"):
        call, steps = _hamux(weights, images)
        note = f"{steps} Euler steps of {STEP}, as many as the slowest example needs, counted beforehand"
        entries["hamux, Euler"] = Implementation(call, check, note)
    return entries


def _ours(weights: list[Array], images: Array, solver, tolerance: float = TOLERANCE):
    layers = {name: Layer(size, lagrangians.Sigmoid()) for name, size in zip(NAMES, LAYERS, strict=True)}
    model = HAM(layers, [Dense(pair, w) for pair, w in zip((NAMES[:2], NAMES[1:]), weights, strict=True)])
    settings = {"update": EvenOdd(), "solver": solver, "rtol": tolerance, "atol": 0, "max_steps": 500}
    relaxed = jax.jit(lambda x: relax(model, {"input": x}, method=Method(**settings)).activation["output"])
    return lambda: jax.block_until_ready(relaxed(images))


def _hamux(weights: list[Array], images: Array):
    """A compiled Euler loop and its number of steps: hamux has no solver."""
    hamux = importlib.import_module("hamux")
    neurons = {
        n: hamux.NeuronLayer(hamux.lagr_sigmoid, (size,)) for n, size in zip("xhy", LAYERS, strict=True)
    }
    synapses = {"w": hamux.LinearSynapse(weights[0]), "v": hamux.LinearSynapse(weights[1])}
    network = hamux.HAM(neurons, synapses, [(("x", "h"), "w"), (("h", "y"), "v")]).vectorize()
    size = lambda state: jnp.sqrt(sum(jnp.sum(state[n] ** 2, -1) for n in "hy"))

    def step(state):
        force = network.dEdact(network.activations(state), state)
        moved = {**state, **{n: state[n] - STEP * force[n] for n in "hy"}}
        return moved, jnp.max(size(force) / size(moved))

    zero = {"x": images, "h": jnp.zeros((BATCH, LAYERS[1])), "y": jnp.zeros((BATCH, LAYERS[2]))}
    _, sizes = jax.jit(lambda s: jax.lax.scan(lambda s, _: step(s), s, None, length=500))(zero)
    steps = int(jnp.argmax(sizes < TOLERANCE)) + 1
    run = lambda s: network.activations(jax.lax.fori_loop(0, steps, lambda _, s: step(s)[0], s))["y"]
    loop = jax.jit(run)
    return lambda: jax.block_until_ready(loop(zero)), steps


RELAXING = Benchmark(
    "relax",
    f"784-512-10, batch {BATCH}, image clamped: from zero to a relative residual of {TOLERANCE:g}",
    OURS,
    implementations,
    "Guarded Anderson evaluates the energy at each sweep, which costs more than a sweep of this small network.",
)
