"""Every gradient of an equilibrium compared with the exact one."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree, Scalar, ScalarLike

from .._internal.checks import require_key
from .._internal.tree import cast, dot, random_normal, squares, subtract
from ..costs import AbstractCost
from ..gradients.adjoints import ConjugateGradient
from ..gradients.base import AbstractGradient, AdjointStats, stop_gradient
from ..gradients.contrast import energy_at
from ..gradients.ep import EquilibriumPropagation
from ..gradients.implicit import Implicit, RecurrentBackprop
from ..gradients.nudging import AbstractVariant, Centred, Positive
from ..gradients.unrolled import Phantom, Unrolled
from ..method import Method
from ..networks.ham import HAM
from ..networks.network import States
from ..objective import objective, objective_example
from ..relax import relax
from ..solvers.anderson import Anderson
from ..updates.block import Coloured, Synchronous
from .spectra import critical_nudge, smallest_hessian_eigenvalue, spectral_radius, warn_of_large_nudge

NUDGE_FRACTIONS = (0.02, 0.01, 0.005)  # of the critical nudge, at which the order in beta is measured
FINITE_NUDGE = 0.3  # the largest nudge at which the contrast of free energies is differentiated
TRUNCATED_STEPS = 3
REFERENCE = Method(Coloured(), Anderson(), Implicit(ConjugateGradient(1e-13, 500)), 1e-12, 0.0, 2000)

GRADIENTS: dict[str, AbstractGradient] = {
    "implicit": Implicit(),
    "recurrent": RecurrentBackprop(8),
    "phantom": Phantom(5),
    "unrolled": Unrolled(100),
}


def check_gradients(
    model: HAM,
    clamp: Mapping[str, Array],
    cost: AbstractCost,
    target: Array,
    *,
    beta: float | None = None,
    key: Key[Array, ""],
) -> dict[str, Any]:
    """Compare every gradient of the mean cost of a batch, in weights and clamp, with the exact one, in float64.

    The result is a dictionary of plain numbers.

    Args:
        clamp: layer -> states, with a batch axis.
        target: one for each example.
        beta: the nudge of equilibrium propagation; by default 0.05, or a twentieth of the critical nudge if that is
            less. One above a tenth of the critical nudge gives a warning.
        key: for random directions.
    Returns:
        gradients: for each gradient, the cosine, the path and cosine of the worst array, the relative error, the
            seconds of a compiled call, and the Jacobian products for each example.
        reference_vs_finite_difference: relative error of the reference along a random direction.
        ep_order: measured order in beta of centred (2) and one-sided (1) equilibrium propagation.
        ep_finite_beta: relative error of equilibrium propagation at a nudge of 0.3, or half the critical one if that is
            less, against finite differences of `[F*(β) - F*(-β)] / 2β`, of which it is the exact gradient.
        ep_steps: relative error of equilibrium propagation after three synchronous nudged steps, against
            backpropagation through three steps.
        spectral_radius: of the synchronous and the even-odd map, the largest of the batch; the latter is the square of
            the former.
        smallest_hessian_eigenvalue: of the batch; positive at a strict minimum.
        beta: the nudge used.
        critical_nudge: the smallest of the batch.
        converged: fraction of examples that converged.
    Raises: `ValueError` for another key, and as `hopfax.objective` does.
    """
    require_key("check_gradients", key)
    with jax.enable_x64(True):
        double = lambda tree: cast(tree, jnp.float64)
        return _Problem(double(model), double(dict(clamp)), cost, double(target)).check(beta, key)


class _Problem(eqx.Module):
    """What is differentiated: the mean cost of a batch."""

    model: HAM
    clamp: dict[str, Array]
    cost: AbstractCost
    target: Array

    def check(self, beta: float | None, key: Key[Array, ""]) -> dict[str, Any]:
        """The numbers that `check_gradients` returns."""
        reference = self.gradient(REFERENCE)[0]
        equilibrium = relax(self.model, self.clamp, method=Method(rtol=1e-12, atol=0.0, max_steps=2000))
        spectra = self.spectra(equilibrium.state, key)
        critical = spectra["critical_nudge"]
        beta = min(0.05, critical / 20) if beta is None else beta
        warn_of_large_nudge(beta, critical)
        gradients = {**GRADIENTS, "ep_centred": _ep(beta, Centred()), "ep_positive": _ep(beta, Positive())}
        return {
            "gradients": {name: self.compare(gradient, reference) for name, gradient in gradients.items()},
            "reference_vs_finite_difference": self.reference_error(reference, key),
            "ep_order": {
                "centred": self.order(reference, Centred(), critical),
                "positive": self.order(reference, Positive(), critical),
            },
            "ep_finite_beta": self.contrast_error(min(FINITE_NUDGE, critical / 2), key),
            "ep_steps": self.truncation_error(),
            **spectra,
            "beta": beta,
            "converged": float(jnp.mean(equilibrium.converged)),
        }

    def gradient(self, method: Method) -> tuple[PyTree, AdjointStats]:
        """The gradient in model and clamp, and the statistics of the backward solve."""
        blank = AdjointStats.blank(len(self.target))
        model, clamp, stats = _mean_cost_gradient((self.model, self.clamp, blank), self, method)
        return (model, clamp), stats

    def compare(self, gradient: AbstractGradient, reference: PyTree) -> dict[str, Any]:
        """How near a gradient is to the reference, and what it costs."""
        method = _reference_with(gradient)
        jax.block_until_ready(self.gradient(method))  # compiles
        begin = time.perf_counter()
        value, stats = jax.block_until_ready(self.gradient(method))
        seconds = time.perf_counter() - begin
        value, reference = eqx.filter(value, eqx.is_array), eqx.filter(reference, eqx.is_array)
        cosine = dot(value, reference) / jnp.sqrt(squares(value) * squares(reference))
        worst = worst_array(value, reference)
        return {
            "cosine": float(cosine),
            "worst_array": worst[0],
            "worst_cosine": worst[1],
            "relative_error": _relative_error(value, reference),
            "seconds": seconds,
            "products": float(jnp.mean(stats.products)),
        }

    def reference_error(self, reference: PyTree, key: Key[Array, ""]) -> float:
        """The relative error of the reference against a finite difference."""
        value = lambda m, c: jnp.mean(objective(m, c, self.cost, self.target, method=REFERENCE)[0])
        return _directional_error(value, (self.model, self.clamp), reference, key)

    def order(self, reference: PyTree, variant: AbstractVariant, critical: float) -> float:
        """The slope of the log of the error against the log of the nudge."""
        betas = jnp.asarray([fraction * critical for fraction in NUDGE_FRACTIONS])
        estimate = lambda beta: self.gradient(_reference_with(_ep(beta, variant)))[0]
        errors = jnp.asarray([_relative_error(estimate(beta), reference) for beta in betas])
        return float(jnp.polyfit(jnp.log(betas), jnp.log(errors), 1)[0])

    def contrast_error(self, beta: float, key: Key[Array, ""]) -> float:
        """The relative error of equilibrium propagation as the gradient of `[F*(β) - F*(-β)] / 2β`."""
        mean = lambda m, c: jnp.mean(
            jax.vmap(lambda c, t: _contrast(m, c, self.cost, t, beta))(c, self.target)
        )
        estimate = self.gradient(_reference_with(_ep(beta, Centred())))[0]
        return _directional_error(eqx.filter_jit(mean), (self.model, self.clamp), estimate, key)

    def truncation_error(self) -> float:
        """The relative error of equilibrium propagation after a few steps against truncated backpropagation."""
        method = Method(Synchronous(), Anderson(), Phantom(TRUNCATED_STEPS), 1e-13, 0.0, 2000)
        truncated = self.gradient(method)[0][0]
        estimate = eqx.filter_jit(eqx.filter_grad(_truncated_ep))(self.model, self, 1e-6)
        return _relative_error(estimate, truncated)

    def spectra(self, states: States, key: Key[Array, ""]) -> dict[str, Any]:
        """The spectral radii, the smallest Hessian eigenvalue and the critical nudge, the worst of the batch."""
        model, cost = self.model, self.cost
        first = jax.tree.map(lambda x: x[0], self.clamp)
        even_odd = Coloured().eliminated(model.condition(first))
        of_each = lambda f: jax.jit(jax.vmap(f))(self.clamp, states, self.target)
        radius = lambda update: of_each(lambda c, s, t: spectral_radius(model, c, s, update, key=key))
        smallest = of_each(lambda c, s, t: smallest_hessian_eigenvalue(model, c, s, key=key))
        critical = of_each(lambda c, s, t: critical_nudge(model, c, s, cost, t, key=key))
        return {
            "spectral_radius": {
                "synchronous": float(jnp.max(radius(Synchronous()))),
                "even_odd": float(jnp.max(radius(even_odd))),
            },
            "smallest_hessian_eigenvalue": float(jnp.min(smallest)),
            "critical_nudge": float(jnp.min(critical)),
        }


def array_cosines(a: PyTree, b: PyTree) -> Float[Array, " arrays"]:
    """`<a, b> / |a| |b|` of each array of two gradients; 1 where both are zero.

    A cosine over all arrays together hides an array whose gradient is small and wrong.
    """
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jnp.stack([_cosine(x, y) for x, y in pairs])


def _cosine(a: Array, b: Array) -> Scalar:
    product, norm = jnp.vdot(a, b), jnp.linalg.norm(a.reshape(-1)) * jnp.linalg.norm(b.reshape(-1))
    both_zero = jnp.all(a == 0) & jnp.all(b == 0)
    return jnp.where(both_zero, 1, product / jnp.where(norm > 0, norm, 1))


def worst_array(a: PyTree, b: PyTree) -> tuple[str, float]:
    """The path and the cosine of the array in which two gradients agree least."""
    return min(named_cosines(a, b).items(), key=lambda pair: pair[1])


def named_cosines(a: PyTree, b: PyTree) -> dict[str, float]:
    """The cosine of each array of two gradients, by the path of the array."""
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(b)]
    return dict(zip(paths, np.asarray(array_cosines(a, b)).tolist(), strict=True))


@eqx.filter_jit
@eqx.filter_grad
def _mean_cost_gradient(differentiated, problem: _Problem, method: Method) -> Scalar:
    """The mean cost, differentiated with respect to the model, the clamp and the blank statistics."""
    model, clamp, stats = differentiated
    example = lambda clamp, target, stats: objective_example(
        model, clamp, {}, problem.cost, target, method, stats
    )
    return jnp.mean(jax.vmap(example)(clamp, problem.target, stats)[0])


def _reference_with(gradient: AbstractGradient) -> Method:
    return dataclasses.replace(REFERENCE, gradient=gradient)


def _ep(beta: ScalarLike, variant: AbstractVariant) -> EquilibriumPropagation:
    """Equilibrium propagation with `beta` as an array, so that all nudges of a variant share one compilation."""
    return EquilibriumPropagation(jnp.asarray(beta), variant)


def _relative_error(value: PyTree, reference: PyTree) -> float:
    value, reference = eqx.filter(value, eqx.is_array), eqx.filter(reference, eqx.is_array)
    return float(jnp.sqrt(squares(subtract(value, reference)) / squares(reference)))


def _contrast(model: HAM, clamp: dict, cost: AbstractCost, target: Array, beta: float) -> Scalar:
    """`[F*(β) - F*(-β)] / 2β` of one example."""
    free, method = model.condition(clamp), Method(rtol=1e-13, atol=0.0, max_steps=2000)
    minimum = lambda beta: relax(free + beta * cost.with_target(target), method=method).energy
    return (minimum(beta) - minimum(-beta)) / (2 * beta)


def _directional_error(
    function: Callable, arguments: tuple, gradient: PyTree, key: Key[Array, ""], step: float = 1e-5
) -> float:
    """The relative error of `∇·d` against `(f(x + εd) - f(x - εd)) / 2ε`, along a random direction `d`."""
    arrays, static = eqx.partition(arguments, eqx.is_inexact_array)
    direction = random_normal(arrays, key)
    shifted = lambda sign: eqx.combine(
        jax.tree.map(lambda x, d: x + sign * step * d, arrays, direction), static
    )
    difference = (function(*shifted(1)) - function(*shifted(-1))) / (2 * step)
    expected = dot(eqx.filter(gradient, eqx.is_inexact_array), direction)
    return float(jnp.abs(expected - difference) / jnp.abs(difference))


def _truncated_ep(model: HAM, problem: _Problem, beta: ScalarLike) -> Scalar:
    """A scalar whose gradient in the model is the estimate of equilibrium propagation after a few nudged steps."""
    method = Method(update=Synchronous(), rtol=1e-13, atol=0.0, max_steps=2000)
    states = jax.lax.stop_gradient(relax(model, problem.clamp, method=method).state)
    example = lambda c, s, t: _truncated_ep_example(model, c, s, problem.cost, t, beta)
    return jnp.mean(jax.vmap(example)(problem.clamp, states, problem.target))


def _truncated_ep_example(
    model: HAM, clamp: dict, states: States, cost: AbstractCost, target: Array, beta: ScalarLike
) -> Float[Array, ""]:
    """`_truncated_ep` of one example, with the explicit nudge `s = drive - β ∂C/∂g`."""
    free = model.condition(clamp)
    start = {name: states[name] for name in free.order}
    fixed = stop_gradient(free)

    def step(_, s):
        g = fixed.activations(s)
        drive = fixed.drive(g, fixed.order)
        slope = jax.grad(lambda g: cost(s, g, target))(g)
        return jax.tree.map(lambda a, b: a - beta * b, drive, slope)

    nudged = jax.lax.fori_loop(0, TRUNCATED_STEPS, step, start)
    energy = lambda s: energy_at(free, s, jax.lax.stop_gradient(free.activations(s)))
    return (energy(nudged) - energy(start)) / beta
