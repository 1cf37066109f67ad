"""Accelerated solvers on the same even-odd maps, which hardly contract."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree

from ...lagrangians import Tanh
from ...method import Method
from ...networks.ham import HAM
from ...networks.layers import Layer
from ...networks.network import AbstractNetwork, States
from ...networks.synapses.dense import Bias, Dense
from ...relax import relax
from ...solvers import Anderson
from ...updates.block import EvenOdd
from .benchmark import Benchmark, Implementation
from .peers import Peers, quiet_torch

SIZES = (64, 128, 64, 32)
RADIUS, SEED, TOLERANCE, CAP = 2.0, 0, 1e-5, 300
OURS = "hopfax, guarded Anderson"

Build = Callable[[Any], AbstractNetwork]


def implementations(peers: Peers) -> Mapping[str, Implementation]:
    """The Anderson acceleration of hopfax, torchdeq, jaxopt and banax."""
    build, biases = random_network(RADIUS, SEED)
    check = lambda states: _quality(build, biases, states)
    entries = {OURS: Implementation(_ours(build, biases), check, ours=True)}
    for name, make in {"jaxopt": _jaxopt, "banax": _banax, "torchdeq": _torchdeq}.items():
        if peers.has(name, *(["torch"] if name == "torchdeq" else [])):
            entries[f"{name}, Anderson"] = Implementation(make(build, biases), check)
    return entries


def random_network(radius: float, seed: int, sizes=SIZES, batch: int = 64):
    """A chain of tanh layers with random weights: a function from biases to the network, and the biases of a batch.

    Args:
        radius: spectral radius of the symmetric coupling matrix of all neurons. Around 1 the updates hardly contract;
            far above 1 there are many minima.
        seed: random seed of weights and biases.
        sizes: number of neurons in each layer.
        batch: number of examples; the biases of each are drawn from N(0, 0.1²).
    """
    keys = jr.split(jr.key(seed), 2 * len(sizes))
    names = [f"layer{i}" for i in range(len(sizes))]
    weights = [
        jr.normal(k, shape) for k, shape in zip(keys, zip(sizes, sizes[1:], strict=False), strict=False)
    ]
    scale = radius / jnp.linalg.norm(_coupling(weights, sizes), 2)
    layers = {name: Layer(n, Tanh()) for name, n in zip(names, sizes, strict=True)}
    dense = [
        Dense(pair, scale * w) for pair, w in zip(zip(names, names[1:], strict=False), weights, strict=False)
    ]
    biases = [0.1 * jr.normal(k, (batch, n)) for k, n in zip(keys[len(sizes) :], sizes, strict=True)]
    return lambda bias: HAM(layers, [*dense, *map(Bias, names, bias)]), biases


def _coupling(weights, sizes):
    """The symmetric coupling matrix of all neurons."""
    starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    matrix = jnp.zeros((starts[-1], starts[-1]))
    for i, weight in enumerate(weights):
        block = (slice(starts[i], starts[i + 1]), slice(starts[i + 1], starts[i + 2]))
        matrix = matrix.at[block].set(weight).at[block[1], block[0]].set(weight.T)
    return matrix


def _ours(build: Build, biases):
    settings = {"update": EvenOdd(), "solver": Anderson(), "rtol": TOLERANCE, "atol": 0.0, "max_steps": CAP}
    solve = eqx.filter_jit(
        jax.vmap(lambda bias: _unknowns(build(bias), relax(build(bias), method=Method(**settings)).state))
    )
    return lambda: jax.block_until_ready(solve(biases))


def _unknowns(model: AbstractNetwork, states: States) -> States:
    return {name: states[name] for name in EvenOdd().unknowns(model)}


@eqx.filter_jit
def _quality(build: Build, biases, states: States) -> dict[str, jax.Array]:
    """The same test for all solvers: the residual and the energy of the states that they return."""

    def one(bias, states):
        model, update = build(bias), EvenOdd()
        flat = lambda tree: ravel_pytree(tree)[0]
        image = flat(update.image(model, states))
        relative = jnp.linalg.norm(image - flat(states)) / jnp.linalg.norm(image)
        return relative, model.energy(update.reconstruct(model, states))

    relative, energy = jax.vmap(one)(biases, states)
    converged = jnp.sum(relative <= 1.05 * TOLERANCE)  # the rounding of a second evaluation
    return {"converged": converged, "of": jnp.asarray(len(relative)), "mean energy": jnp.mean(energy)}


def _flat_problem(model: AbstractNetwork):
    """The even-odd map of one vector, the initial vector, and the function from vectors to layers."""
    start, unravel = ravel_pytree(_unknowns(model, model.zeros()))
    return lambda z: ravel_pytree(EvenOdd().image(model, unravel(z)))[0], start, unravel


def _jaxopt(build: Build, biases):
    """Its tolerance is absolute: for each example, ours times the norm of the solution."""
    jaxopt = importlib.import_module("jaxopt")
    sizes = jax.vmap(lambda states: jnp.linalg.norm(ravel_pytree(states)[0]))(_ours(build, biases)())

    def one(bias, size):
        f, start, unravel = _flat_problem(build(bias))
        limits = {"history_size": 5, "maxiter": CAP, "tol": TOLERANCE * size}
        return unravel(jaxopt.AndersonAcceleration(f, **limits, implicit_diff=False).run(start).params)

    solve = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(solve(biases, sizes))


def _banax(build: Build, biases):
    """It takes traced values only in its `(f, args)`."""
    solver, adjoint = importlib.import_module("banax.solver"), importlib.import_module("banax.adjoint")
    find = adjoint.JFB(solver.Anderson(depth=5, max_steps=CAP, rtol=TOLERANCE))

    def one(bias):
        _, start, unravel = _flat_problem(build(bias))
        return unravel(find((lambda z, bias: _flat_problem(build(bias))[0](z), (bias,)), start).value)

    solve = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(solve(biases))


def _torchdeq(build: Build, biases):
    """It stops when the relative residual of every example of the batch is below the tolerance."""
    torch, torchdeq = quiet_torch(), importlib.import_module("torchdeq")
    synapses = build([b[0] for b in biases]).synapses
    tensor = lambda x: torch.from_numpy(np.array(x))
    weights = [tensor(synapses[f"layer{i}-layer{i + 1}"].weight) for i in range(3)]  # type: ignore[attr-defined]
    offsets = [tensor(b) for b in biases]
    widths = [
        offsets[1].shape[1],
        offsets[3].shape[1],
    ]  # of layers 1 and 3, the unknowns: they have the colour of the last layer

    def drive(i, g):
        below = g[i - 1] @ weights[i - 1] if i > 0 else 0
        above = g[i + 1] @ weights[i].T if i < 3 else 0
        return offsets[i] + below + above

    def image(z):
        g = dict(zip((1, 3), map(torch.tanh, torch.split(z, widths, dim=1)), strict=True))
        g |= {i: torch.tanh(drive(i, g)) for i in (0, 2)}
        return torch.cat([drive(1, g), drive(3, g)], dim=1)

    limits = {"f_max_iter": CAP, "f_tol": TOLERANCE, "f_stop_mode": "rel"}
    deq = torchdeq.get_deq(f_solver="anderson", core="sliced", **limits)

    def call():
        with torch.no_grad():
            states, _ = deq(image, torch.zeros(len(offsets[0]), sum(widths)))
        first, second = torch.split(states[-1], widths, dim=1)
        return {"layer1": jnp.asarray(first.numpy()), "layer3": jnp.asarray(second.numpy())}

    return call


SOLVING = Benchmark(
    "solve",
    f"64 random tanh networks 64-128-64-32, coupling of spectral radius {RADIUS:g}, to a relative residual of "
    f"{TOLERANCE:g} or {CAP} updates",
    OURS,
    implementations,
    "A solver that stops before it converges, or makes 300 updates of one product each without evaluating the energy, "
    "can take less time: compare how many examples converged.",
)
