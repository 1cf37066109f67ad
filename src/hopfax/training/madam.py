"""Madam, an optimiser that optax does not have."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Int


class MadamState(NamedTuple):
    """The state of `madam`: the number of steps, and for each leaf the initial root mean square and second moment."""

    count: Int[Array, ""]
    rms: Any
    second_moment: Any


def madam(
    learning_rate: ArrayLike | Callable[..., Any],
    *,
    scale_bound: ArrayLike = 1024.0,
    gradient_bound: ArrayLike = 3.0,
    decay: ArrayLike = 0.999,
) -> optax.GradientTransformation:
    """Multiplicative Adam: each step multiplies a weight by a positive factor.

    Signs never change, and zeros stay zero.

    With gradient `g` and weight `w`, at step `t = 1, 2, ...`

        v = decay v + (1 - decay) g^2
        r = clip(g / sqrt(v / (1 - decay^t)), -gradient_bound, gradient_bound),   r = 0 where v = 0
        w = clip(w exp(-learning_rate r sign(w)), -b, b),   b = scale_bound * rms(w at init), one b for each leaf

    Weights that a mask has set to zero need no mask here. Biases that start at zero never change; initialise them with
    small random numbers.

    Args:
        learning_rate: nats per step, or an optax schedule of the number of steps taken so far.
        scale_bound: largest weight allowed, in units of the initial root mean square of its leaf.
        gradient_bound: largest normalised gradient allowed.
        decay: in (0, 1), of the second moment.

    Returns:
        An optax transformation whose `update` needs `params` and returns the additive change `new w - w`. The
        second moment is kept in float32 at least; updates have the dtype of their weights.

    Raises:
        ValueError: an argument is out of range; in `init`, a leaf is not real floating point; in `update`,
            `params` is missing.

    Source: Bernstein et al. (2020), "Learning compositional functions via multiplicative weight updates",
    arXiv:2006.14560, with the clipping of "Faster Hopfield dynamics".
    """
    if not callable(learning_rate):
        _require_between("learning_rate", learning_rate, 0, math.inf)
    _require_between("scale_bound", scale_bound, 0, math.inf)
    _require_between("gradient_bound", gradient_bound, 0, math.inf)
    _require_between("decay", decay, 0, 1)

    def init(params) -> MadamState:
        rms = jax.tree.map(_root_mean_square, params)
        return MadamState(jnp.zeros((), jnp.int32), rms, jax.tree.map(_zeros, params))

    def update(updates, state, params=None) -> tuple[Any, MadamState]:
        if params is None:
            raise ValueError(
                "`madam` needs the weights: call `update(gradients, state, params)`, got params=None."
            )
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        count = jnp.asarray(optax.safe_increment(state.count))
        # 1 - decay^t, which in float32 would lose four digits at the first steps.
        correction = -jnp.expm1(count * jnp.log(jnp.asarray(decay)))

        def moment(g, v):
            return v if g is None else _mix(g.astype(v.dtype), v, decay)

        def change(g, v, w, rms):
            if g is None:
                return None
            ratio = _ratio(g.astype(v.dtype), v, correction, gradient_bound)
            return _multiplicative_change(w, ratio, rate, scale_bound * rms)

        second_moment = jax.tree.map(moment, updates, state.second_moment, is_leaf=_is_none)
        changes = jax.tree.map(change, updates, second_moment, params, state.rms, is_leaf=_is_none)
        return changes, MadamState(count, state.rms, second_moment)

    return optax.GradientTransformation(init, update)


def _mix(g, v, decay):
    decay = jnp.asarray(decay, v.dtype)
    return decay * v + (1 - decay) * jnp.square(g)


def _ratio(g, v, correction, bound):
    # `v > 0` excludes 0 / 0 and gradients whose square underflows, which would give an infinite ratio.
    ratio = jnp.where(v > 0, g / jnp.sqrt(v / jnp.asarray(correction, v.dtype)), 0)
    return jnp.clip(ratio, -jnp.asarray(bound, v.dtype), jnp.asarray(bound, v.dtype))


def _multiplicative_change(w, ratio, rate, bound):
    wide = w.astype(ratio.dtype)
    # Not `wide * expm1(...)`: a third slower, and its extra digits are lost when the change is added to `w`.
    new = wide * jnp.exp(-jnp.asarray(rate, ratio.dtype) * ratio * jnp.sign(wide))
    return (jnp.clip(new, -bound, bound) - wide).astype(w.dtype)


def _root_mean_square(w):
    dtype = _moment_dtype(w)
    return jnp.sqrt(jnp.mean(jnp.square(w.astype(dtype))))


def _zeros(w):
    dtype = _moment_dtype(w)
    return jnp.zeros_like(w, dtype)  # on the devices that `w` is on


def _moment_dtype(w):
    if not (hasattr(w, "dtype") and jnp.issubdtype(w.dtype, jnp.floating)):
        kind = getattr(w, "dtype", type(w).__name__)
        raise ValueError(
            f"`madam` trains real floating-point arrays, got a leaf of type {kind} in `params`. "
            "Exclude the others with `equinox.filter(params, equinox.is_inexact_array)`."
        )
    return jnp.promote_types(w.dtype, jnp.float32)


def _is_none(x) -> bool:
    return x is None


def _require_between(name, value, low, high):
    known = not isinstance(value, Tracer)
    if known and (
        not isinstance(value, int | float | np.number | np.ndarray | Array) or not low < value < high
    ):
        raise ValueError(
            f"`madam({name}=...)` must lie between {low} and {high}, both excluded; got {value}."
        )
