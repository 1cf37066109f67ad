"""Other libraries' fixed-point solvers on the same even-odd map; what is not installed is left out."""

import importlib.util

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import hopfax


def peer_solvers(build, biases, tolerance: float, cap: int) -> dict:
    """name -> call, for the libraries that are installed."""
    makers = {"jaxopt": _jaxopt, "banax": _banax, "torchdeq": _torchdeq}
    installed = {name: make for name, make in makers.items() if importlib.util.find_spec(name)}
    return {f"{name} Anderson": make(build, biases, tolerance, cap) for name, make in installed.items()}


def _flat_problem(model):
    """The even-odd map on one vector, its start, and the way back to layers."""
    update = hopfax.EvenOdd()
    zeros = {name: state for name, state in model.zeros().items() if name in update.kept(model)}
    start, unravel = ravel_pytree(zeros)
    return lambda z: ravel_pytree(update.image(model, unravel(z)))[0], start, unravel


def _jaxopt(build, biases, tolerance, cap):
    """Its tolerance is absolute; each example gets `tolerance` times the norm of its own solution."""
    import jaxopt

    sizes = _solution_norms(build, biases)

    @jax.jit
    def solve(biases):
        def one(own, size):
            f, start, unravel = _flat_problem(build(own))
            solver = jaxopt.AndersonAcceleration(
                f, history_size=5, maxiter=cap, tol=tolerance * size, implicit_diff=False
            )
            found = solver.run(start)
            return unravel(found.params), found.state.iter_num

        return jax.vmap(one)(biases, sizes)

    return lambda: solve(biases)


def _banax(build, biases, tolerance, cap):
    """Everything traced goes through its `(f, args)`."""
    from banax.adjoint import JFB
    from banax.solver import Anderson

    find = JFB(Anderson(depth=5, max_steps=cap, rtol=tolerance))

    @jax.jit
    def solve(biases):
        def one(own):
            _, start, unravel = _flat_problem(build(own))
            found = find((lambda z, own: _flat_problem(build(own))[0](z), (own,)), start)
            return unravel(found.value), found.stats.steps

        return jax.vmap(one)(biases)

    return lambda: solve(biases)


def _torchdeq(build, biases, tolerance, cap):
    """Stops when the worst example of the batch is below its relative tolerance."""
    import torch
    from torchdeq import get_deq

    model = build([b[0] for b in biases])
    weights = [torch.from_numpy(np.array(model.synapses[f"layer{i}-layer{i + 1}"].weight)) for i in range(3)]
    offsets = [torch.from_numpy(np.array(b)) for b in biases]
    widths = [offsets[1].shape[1], offsets[3].shape[1]]  # kept: the last layer's colour

    def drive(i, g):
        below = g[i - 1] @ weights[i - 1] if i > 0 else 0
        above = g[i + 1] @ weights[i].T if i < 3 else 0
        return offsets[i] + below + above

    def image(z):
        g = dict(zip((1, 3), map(torch.tanh, torch.split(z, widths, dim=1)), strict=True))
        for i in (0, 2):
            g[i] = torch.tanh(drive(i, g))
        return torch.cat([drive(1, g), drive(3, g)], dim=1)

    deq = get_deq(f_solver="anderson", f_max_iter=cap, f_tol=tolerance, f_stop_mode="rel", core="sliced")

    def call():
        with torch.no_grad():
            found, info = deq(image, torch.zeros(len(offsets[0]), sum(widths)))
        z = jnp.asarray(found[-1].numpy())
        states = {"layer1": z[:, : widths[0]], "layer3": z[:, widths[0] :]}
        return states, jnp.asarray(info["nstep"].numpy())

    return call


def _solution_norms(build, biases):
    relax = lambda own: (
        hopfax.relax(build(own), update=hopfax.EvenOdd(), rtol=1e-5, atol=0.0, max_steps=1000).state
    )
    states = eqx.filter_jit(jax.vmap(relax))(biases)
    kept = [states["layer1"], states["layer3"]]
    return jnp.linalg.norm(jnp.concatenate(kept, axis=1), axis=1)
