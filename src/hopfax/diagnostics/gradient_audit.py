"""The gradient audit: every way to differentiate an equilibrium, held against the exact gradient."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree, Scalar, ScalarLike

from .._internal.tree import dot, squares, subtract
from ..costs import AbstractCost
from ..gradients.adjoints import ConjugateGradient
from ..gradients.base import AbstractGradient, AdjointStats, stop_gradient
from ..gradients.ep import EquilibriumPropagation, energy_at
from ..gradients.implicit import Implicit, RecurrentBackprop
from ..gradients.nudging import AbstractVariant, Centred, Positive
from ..gradients.unrolled import Phantom, Unrolled
from ..method import Method
from ..networks.ham import HAM
from ..objective import objective, objective_example
from ..relax import relax
from ..solvers.anderson import Anderson
from ..updates.block import Coloured, Synchronous
from .spectra import (
    check_beta,
    critical_nudge,
    smallest_hessian_eigenvalue,
    spectral_radius,
)

FRACTIONS = (0.02, 0.01, 0.005)  # of the critical nudge, where the order in beta is measured
FINITE_BETA = 0.3  # at most, for the exact gradient of the contrastive function
TIGHT = Method(Coloured(), Anderson(), Implicit(ConjugateGradient(1e-13, 500)), 1e-12, 0.0, 2000)

GRADIENTS: dict[str, AbstractGradient] = {
    "implicit": Implicit(),
    "recurrent": RecurrentBackprop(8),
    "phantom": Phantom(5),
    "unrolled": Unrolled(100),
}


def audit(
    model: HAM,
    clamp: Mapping[str, Array],
    cost: AbstractCost,
    target: Array,
    *,
    beta: float | None = None,
    key: Key[Array, ""],
) -> dict[str, Any]:
    """Hold each gradient of the mean cost of a batch, in weights and clamp, against the exact one; all in float64.

    Returns, as plain numbers:
        gradients: for each method cosine, relative error, seconds of a compiled call, Jacobian products an example.
        reference_vs_finite_difference: relative error of the reference along a random direction.
        ep_order: the measured order in beta of centred (2) and one-sided (1) equilibrium propagation.
        ep_finite_beta: EP at beta 0.3 against finite differences of `[F*(b) - F*(-b)] / 2b`, whose gradient it is.
        ep_steps: EP stopped after three synchronous nudged steps against backpropagation truncated to three.
        spectral_radius: of the synchronous and the even-odd map, largest of the batch; the second the first squared.
        smallest_hessian_eigenvalue: smallest scaled eigenvalue of the energy's Hessian; positive at a strict minimum.
        beta, critical_nudge: the nudge used and the critical one, smallest of the batch. By default `beta` is 0.05
            or a twentieth of the critical one if that is less; a given one above a tenth of it warns.
    """
    with jax.enable_x64(True):
        return _audit(_double(model), _double(dict(clamp)), cost, _double(target), beta, key)


def _audit(model: HAM, clamp: dict, cost: AbstractCost, target: Array, beta: float | None, key) -> dict:
    gradient = _gradient_function(model, clamp, cost, target)
    reference = gradient(TIGHT)[0]
    equilibrium = relax(model, clamp, method=Method(rtol=1e-12, atol=0.0, max_steps=2000))
    each = lambda f: jax.jit(jax.vmap(f))(clamp, equilibrium.state, target)
    critical = float(jnp.min(each(lambda c, s, t: critical_nudge(model, c, s, cost, t, key=key))))
    beta = min(0.05, critical / 20) if beta is None else beta
    check_beta(beta, critical)
    betas = [fraction * critical for fraction in FRACTIONS]
    radius = lambda update: float(
        jnp.max(each(lambda c, s, t: spectral_radius(model, c, s, update, key=key)))
    )
    even_odd = Coloured().eliminated(model.condition(jax.tree.map(lambda x: x[0], clamp)))
    rows = {**GRADIENTS, "ep_centred": _nudged(beta, Centred()), "ep_positive": _nudged(beta, Positive())}
    return {
        "gradients": {name: _row(gradient, reference, method) for name, method in rows.items()},
        "reference_vs_finite_difference": _finite_difference_error(
            model, clamp, cost, target, reference, key
        ),
        "ep_order": {
            name: _order(gradient, reference, v, betas)
            for name, v in (("centred", Centred()), ("positive", Positive()))
        },
        "ep_finite_beta": _finite_beta_error(
            model, clamp, cost, target, gradient, min(FINITE_BETA, critical / 2), key
        ),
        "ep_steps": _step_error(model, clamp, cost, target, gradient),
        "spectral_radius": {"synchronous": radius(Synchronous()), "even_odd": radius(even_odd)},
        "smallest_hessian_eigenvalue": float(
            jnp.min(each(lambda c, s, t: smallest_hessian_eigenvalue(model, c, s, key=key)))
        ),
        "beta": beta,
        "critical_nudge": critical,
        "converged": float(jnp.mean(equilibrium.converged)),
    }


def _gradient_function(model: HAM, clamp: dict, cost: AbstractCost, target: Array) -> Callable:
    """`method ↦ (gradient in model and clamp, statistics)` of the mean cost."""

    def mean_cost(arguments, method):
        model, clamp, stats = arguments
        example = lambda clamp, target, stats: objective_example(
            model, clamp, {}, cost, target, method, stats
        )
        return jnp.mean(jax.vmap(example)(clamp, target, stats)[0])

    differentiate = eqx.filter_jit(eqx.filter_grad(mean_cost))

    def gradient(method: Method) -> tuple[PyTree, AdjointStats]:
        *found, stats = differentiate((model, clamp, AdjointStats.blank(len(target))), method)
        return tuple(found), stats

    return gradient


def _row(gradient: Callable, reference: PyTree, method: AbstractGradient) -> dict[str, float]:
    tight = _with_gradient(method)
    jax.block_until_ready(gradient(tight))
    begin = time.perf_counter()
    found, stats = jax.block_until_ready(gradient(tight))
    seconds = time.perf_counter() - begin
    products = float(jnp.mean(stats.products))
    return {**_agreement(found, reference), "seconds": seconds, "products": products}


def _nudged(beta: float, variant: AbstractVariant) -> EquilibriumPropagation:
    """`beta` as an array: all nudges of a variant share one compilation."""
    return EquilibriumPropagation(jnp.asarray(beta), variant)


def _with_gradient(gradient: AbstractGradient) -> Method:
    return dataclasses.replace(TIGHT, gradient=gradient)


def _agreement(found: PyTree, reference: PyTree) -> dict[str, float]:
    found, reference = eqx.filter(found, eqx.is_array), eqx.filter(reference, eqx.is_array)
    cosine = dot(found, reference) / jnp.sqrt(squares(found) * squares(reference))
    return {"cosine": float(cosine), "relative_error": float(_relative(found, reference))}


def _relative(found: PyTree, reference: PyTree) -> Scalar:
    return jnp.sqrt(squares(subtract(found, reference)) / squares(reference))


def _order(gradient: Callable, reference: PyTree, variant: AbstractVariant, betas: list[float]) -> float:
    """The slope of log error against log beta."""
    nudged = lambda beta: gradient(_with_gradient(_nudged(beta, variant)))[0]
    errors = jnp.asarray([_agreement(nudged(beta), reference)["relative_error"] for beta in betas])
    return float(jnp.polyfit(jnp.log(jnp.asarray(betas)), jnp.log(errors), 1)[0])


def _finite_difference_error(model, clamp, cost, target, reference, key) -> float:
    value = lambda m, c: jnp.mean(objective(m, c, cost, target, method=TIGHT)[0])
    return _directional_error(value, (model, clamp), reference, key)


def _finite_beta_error(model, clamp, cost, target, gradient, beta: float, key) -> float:
    value = lambda m, c: jnp.mean(jax.vmap(lambda c, t: _contrast(m, c, cost, t, beta))(c, target))
    found = gradient(_with_gradient(_nudged(beta, Centred())))[0]
    return _directional_error(eqx.filter_jit(value), (model, clamp), found, key)


def _contrast(model: HAM, clamp: dict, cost: AbstractCost, target: Array, beta: float) -> Scalar:
    """`[F*(β) - F*(-β)] / 2β` of one example."""
    free = model.condition(clamp)
    at = lambda beta: (
        relax(
            free + beta * cost.with_target(target), method=Method(rtol=1e-13, atol=0.0, max_steps=2000)
        ).energy
    )
    return (at(beta) - at(-beta)) / (2 * beta)


def _directional_error(
    value: Callable, at: tuple, gradient: PyTree, key: Key[Array, ""], step: float = 1e-5
) -> float:
    """`|∇·d - (value(x + εd) - value(x - εd)) / 2ε|`, relative, along a random direction `d`."""
    arrays, rest = eqx.partition(at, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    keys = jr.split(key, len(leaves))
    direction = structure.unflatten(
        [jr.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    )
    moved = lambda sign: eqx.combine(jax.tree.map(lambda x, d: x + sign * step * d, arrays, direction), rest)
    difference = (value(*moved(1)) - value(*moved(-1))) / (2 * step)
    expected = dot(eqx.filter(gradient, eqx.is_inexact_array), direction)
    return float(jnp.abs(expected - difference) / jnp.abs(difference))


def _step_error(model, clamp, cost, target, gradient, count: int = 3, beta: float = 1e-6) -> float:
    """EP after `count` steps with the nudge inside the activation, against backpropagation through as many."""
    stepped = eqx.filter_jit(eqx.filter_grad(_stepped))
    truncated = gradient(Method(Synchronous(), Anderson(), Phantom(count), 1e-13, 0.0, 2000))[0][0]
    propagated = stepped(model, clamp, cost, target, jnp.asarray(count), beta)
    return float(_relative(eqx.filter(propagated, eqx.is_array), eqx.filter(truncated, eqx.is_array)))


def _stepped(
    model: HAM, clamp: dict, cost: AbstractCost, target: Array, count: Array, beta: ScalarLike
) -> Scalar:
    free = relax(
        model, clamp, method=Method(update=Synchronous(), rtol=1e-13, atol=0.0, max_steps=2000)
    ).state
    one = lambda c, s, t: _stepped_one(model, c, s, cost, t, count, beta)
    return jnp.mean(jax.vmap(one)(clamp, jax.lax.stop_gradient(free), target))


def _stepped_one(model, clamp, states, cost, target, count, beta) -> Float[Array, ""]:
    """A scalar whose gradient is the EP estimate of one example after `count` nudged steps."""
    conditioned = model.condition(clamp)
    start = {name: states[name] for name in conditioned.order}

    frozen = stop_gradient(conditioned)

    def step(_, s):
        g = frozen.activations(s)
        drive = frozen.drive(g, frozen.order)
        slope = jax.grad(lambda g: cost(s, g, target))(g)
        return jax.tree.map(lambda a, b: a - beta * b, drive, slope)

    nudged = jax.lax.fori_loop(0, count, step, start)
    at = lambda s: energy_at(conditioned, s, jax.lax.stop_gradient(conditioned.activations(s)))
    return (at(nudged) - at(start)) / beta


def _double(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, tree)
