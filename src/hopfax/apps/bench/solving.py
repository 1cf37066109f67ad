"""Accelerated solvers on the same even-odd map of networks that hardly contract."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ...method import Method
from ...networks.network import AbstractNetwork, States
from ...relax import relax
from ...solvers import Anderson
from ...updates.block import EvenOdd
from .contest import Contest, Entry
from .networks import network
from .peers import Peers, quiet_torch

RADIUS, SEED, TOLERANCE, CAP = 2.0, 0, 1e-5, 300
OURS = "hopfax, guarded Anderson"

Build = Callable[[Any], AbstractNetwork]


def enter(peers: Peers) -> Mapping[str, Entry]:
    """Ours, and the Anderson acceleration of torchdeq, jaxopt and banax."""
    build, biases = network(RADIUS, SEED)
    check = lambda states: _judge(build, biases, states)
    entries = {OURS: Entry(_ours(build, biases), check, ours=True)}
    for name, make in {"jaxopt": _jaxopt, "banax": _banax, "torchdeq": _torchdeq}.items():
        if peers.has(name, *(["torch"] if name == "torchdeq" else [])):
            entries[f"{name}, Anderson"] = Entry(make(build, biases), check)
    return entries


def _ours(build: Build, biases):
    settings = {"update": EvenOdd(), "solver": Anderson(), "rtol": TOLERANCE, "atol": 0.0, "max_steps": CAP}
    solve = eqx.filter_jit(
        jax.vmap(lambda own: _kept(build(own), relax(build(own), method=Method(**settings)).state))
    )
    return lambda: jax.block_until_ready(solve(biases))


def _kept(model: AbstractNetwork, states: States) -> States:
    return {name: states[name] for name in EvenOdd().unknowns(model)}


@eqx.filter_jit
def _judge(build: Build, biases, states: States) -> dict[str, jax.Array]:
    """The same test for all: the residual of what was returned, and its energy."""

    def one(own, states):
        model, update = build(own), EvenOdd()
        flat = lambda tree: ravel_pytree(tree)[0]
        image = flat(update.image(model, states))
        relative = jnp.linalg.norm(image - flat(states)) / jnp.linalg.norm(image)
        return relative, model.energy(update.reconstruct(model, states))

    relative, energy = jax.vmap(one)(biases, states)
    converged = jnp.sum(relative <= 1.05 * TOLERANCE)  # the rounding of a second evaluation
    return {"converged": converged, "of": jnp.asarray(len(relative)), "mean energy": jnp.mean(energy)}


def _flat_problem(model: AbstractNetwork):
    """The even-odd map on one vector, its start, and the way back to layers."""
    start, unravel = ravel_pytree(_kept(model, model.zeros()))
    return lambda z: ravel_pytree(EvenOdd().image(model, unravel(z)))[0], start, unravel


def _jaxopt(build: Build, biases):
    """Its tolerance is absolute; each example gets ours times the norm of its own solution."""
    jaxopt = importlib.import_module("jaxopt")
    sizes = jax.vmap(lambda states: jnp.linalg.norm(ravel_pytree(states)[0]))(_ours(build, biases)())

    def one(own, size):
        f, start, unravel = _flat_problem(build(own))
        limits = {"history_size": 5, "maxiter": CAP, "tol": TOLERANCE * size}
        return unravel(jaxopt.AndersonAcceleration(f, **limits, implicit_diff=False).run(start).params)

    solve = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(solve(biases, sizes))


def _banax(build: Build, biases):
    """Everything traced goes through its `(f, args)`."""
    solver, adjoint = importlib.import_module("banax.solver"), importlib.import_module("banax.adjoint")
    find = adjoint.JFB(solver.Anderson(depth=5, max_steps=CAP, rtol=TOLERANCE))

    def one(own):
        _, start, unravel = _flat_problem(build(own))
        return unravel(find((lambda z, own: _flat_problem(build(own))[0](z), (own,)), start).value)

    solve = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(solve(biases))


def _torchdeq(build: Build, biases):
    """Stops when the worst example of the batch is below its relative tolerance."""
    torch, torchdeq = quiet_torch(), importlib.import_module("torchdeq")
    synapses = build([b[0] for b in biases]).synapses
    tensor = lambda x: torch.from_numpy(np.array(x))
    weights = [tensor(synapses[f"layer{i}-layer{i + 1}"].weight) for i in range(3)]  # type: ignore[attr-defined]
    offsets = [tensor(b) for b in biases]
    widths = [offsets[1].shape[1], offsets[3].shape[1]]  # kept: the last layer's colour

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
            found, _ = deq(image, torch.zeros(len(offsets[0]), sum(widths)))
        first, second = torch.split(found[-1], widths, dim=1)
        return {"layer1": jnp.asarray(first.numpy()), "layer3": jnp.asarray(second.numpy())}

    return call


SOLVING = Contest(
    "solve",
    f"64 random tanh networks 64-128-64-32, coupling of spectral radius {RADIUS:g}, to a relative residual of "
    f"{TOLERANCE:g} or {CAP} updates",
    OURS,
    enter,
    "A contestant that gives up early, or takes its 300 updates of one product each without watching the energy, can "
    "be done sooner: see how many converged.",
)
