"""Separations: the Lagrangians of a memory layer, which decide how sharply the best pattern stands out.

Each is `L(s) = L_1(beta s) / beta` with the inverse temperature `beta`; `lagrangians.Softmax` is the fifth.
All can be the `separation` of a `ModernHopfield`, as can any function from `beta` to a Lagrangian.

Sources: Krotov and Hopfield (2016), "Dense associative memory for pattern recognition", arXiv:1606.01164;
Demircigil et al. (2017), arXiv:1702.01929; Peters, Niculae and Martins (2019), "Sparse sequence-to-sequence
models", arXiv:1905.05702.
"""

import functools as ft
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike

from .base import AbstractCoupled, AbstractElementwise, Scalar, State
from .parameters import like, require_finite, require_positive


class Polynomial(AbstractElementwise):
    """Rectified powers: `l(s) = max(beta s, 0)^n / (n beta)`, `g = max(beta s, 0)^(n-1)`.

    `l* = (1 - 1/n) max(beta s, 0)^n / beta`. Degree 2 with every pattern and its inverse stored is the
    classical Hebbian energy. In float32 states beyond `10^(38/n)` overflow.

    Args: `degree` the `n`, at least 2; `beta` positive scalar.
    Raises: `ValueError` for other values.
    Source: Krotov and Hopfield (2016), eq. 6.
    """

    degree: int | float = eqx.field(static=True)
    beta: ArrayLike = 1.0
    holomorphic: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    def __check_init__(self):
        if not 2 <= self.degree < float("inf"):
            raise ValueError(
                f"`Polynomial(degree={self.degree})` must be at least 2 for a smooth activation."
            )
        require_positive("Polynomial", "beta", self.beta)

    def pointwise(self, state: State) -> State:
        beta = like(self.beta, state)
        return jax.nn.relu(beta * state) ** self.degree / (self.degree * beta)

    def activation(self, state: State) -> State:
        return jax.nn.relu(like(self.beta, state) * state) ** (self.degree - 1)

    def energy(self, state: State) -> Scalar:
        return (self.degree - 1) * self(state)


class Exponential(AbstractElementwise):
    """Independent exponentials: `l(s) = exp(beta s) / beta`, `g = exp(beta s)`, `l* = (s - 1/beta) exp(beta
    s)`.

    `Softmax` without the competition, which there keeps values from overflowing: `beta s` beyond 88 does so
    here in float32. With `SphericalNorm` visible neurons, which see only directions, both recall the same.

    Args: `beta` positive scalar. Raises: `ValueError` for other values.
    Source: Demircigil et al. (2017).
    """

    beta: ArrayLike = 1.0
    holomorphic: ClassVar[bool] = True
    linear_gain: ClassVar[float | None] = None

    def __check_init__(self):
        require_positive("Exponential", "beta", self.beta)

    def pointwise(self, state: State) -> State:
        beta = like(self.beta, state)
        return jnp.exp(beta * state) / beta

    def activation(self, state: State) -> State:
        return jnp.exp(like(self.beta, state) * state)

    def energy(self, state: State) -> Scalar:
        beta = like(self.beta, state)
        return jnp.sum((state - 1 / beta) * jnp.exp(beta * state))


class Sparsemax(AbstractCoupled):
    """Euclidean projection of `beta s` onto the simplex: few patterns with any share, the rest exactly none.

    `L(s) = max_p [p . s - (|p|^2 - 1) / (2 beta)]` over the simplex, `g` the maximiser, `L* = (|g|^2 - 1) /
    (2 beta)`.

    Args: `beta` positive scalar. Raises: `ValueError` for other values.
    Source: Martins and Astudillo (2016), arXiv:1602.02068, algorithm 1.
    """

    beta: ArrayLike = 1.0
    holomorphic: ClassVar[bool] = False

    def __check_init__(self):
        require_positive("Sparsemax", "beta", self.beta)

    def __call__(self, state: State) -> Scalar:
        return jnp.sum(self.activation(state) * state) - self.energy(state)

    def activation(self, state: State) -> State:
        scaled = like(self.beta, state) * (state - lax.stop_gradient(jnp.max(state)))
        ranked = -jnp.sort(-scaled.reshape(-1))
        counts = jnp.arange(1, ranked.size + 1, dtype=ranked.dtype)
        excess = jnp.cumsum(ranked) - 1
        support = jnp.sum(counts * ranked > excess)
        threshold = jnp.take(excess / counts, support - 1)
        return jax.nn.relu(scaled - threshold)

    def energy(self, state: State) -> Scalar:
        return (jnp.sum(jnp.square(self.activation(state))) - 1) / (2 * like(self.beta, state))


class Entmax(AbstractCoupled):
    """Between softmax (`alpha -> 1`) and sparsemax (`alpha = 2`): `g_i = max((alpha-1) beta s_i - t,
    0)^(1/(alpha-1))`.

    `t` makes `g` sum to one. `L(s) = max_p [p . s - W(p)]` over the simplex, with
    `L* = W(g) = (sum_i g_i^alpha - 1) / (alpha (alpha - 1) beta)`. `t` is found by bisection to rounding, and
    differentiated by its closed form.

    Args: `alpha` above 1, fixed; `beta` positive scalar. Raises: `ValueError` for other values.
    Source: Peters, Niculae and Martins (2019), eq. 8 and 10, algorithm 1.
    """

    alpha: int | float = eqx.field(static=True, default=1.5)
    beta: ArrayLike = 1.0
    holomorphic: ClassVar[bool] = False

    def __check_init__(self):
        require_finite("Entmax", "alpha", self.alpha)
        if not self.alpha > 1:
            raise ValueError(
                f"`Entmax(alpha={self.alpha})` must be above 1; use `Softmax` for its limit at 1."
            )
        require_positive("Entmax", "beta", self.beta)

    def __call__(self, state: State) -> Scalar:
        return jnp.sum(self.activation(state) * state) - self.energy(state)

    def activation(self, state: State) -> State:
        scaled = like(self.beta, state) * (state - lax.stop_gradient(jnp.max(state)))
        return _entmax(self.alpha, scaled)

    def energy(self, state: State) -> Scalar:
        shares, alpha = self.activation(state), self.alpha
        # A power of zero has no second derivative below 2; of the shares, those that are zero stay so.
        inside = shares > 0
        powers = jnp.where(inside, jnp.where(inside, shares, 1) ** alpha, 0)
        return (jnp.sum(powers) - 1) / (alpha * (alpha - 1) * like(self.beta, state))


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _entmax(alpha: float, scaled: Array) -> Array:
    """Entmax of `scaled`, whose largest entry is 0."""
    rises = (alpha - 1) * scaled
    shares = lambda threshold: jax.nn.relu(rises - threshold) ** (1 / (alpha - 1))

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        enough = jnp.sum(shares(middle)) >= 1
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    # The largest entry alone has share 1 at -1 and none at 0. Halving as often as there are bits ends at
    # rounding.
    ends = jnp.full((), -1, scaled.dtype), jnp.zeros((), scaled.dtype)
    found = shares(lax.fori_loop(0, jnp.finfo(scaled.dtype).nmant + 8, halve, ends)[0])
    return found / jnp.sum(found)


@_entmax.defjvp
def _entmax_jvp(alpha, primals, tangents):
    """`dg = q (ds - q . ds / sum q)` with `q = g^(2 - alpha)` on the support: the implicit derivative of
    `t`.
    """
    (slope,) = tangents
    shares = _entmax(alpha, *primals)
    inside = shares > 0
    weights = jnp.where(inside, jnp.where(inside, shares, 1) ** (2 - alpha), 0)
    return shares, weights * (slope - jnp.sum(weights * slope) / jnp.sum(weights))
