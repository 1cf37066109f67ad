"""Sparse separations: each weight is a function of how far its score lies above a threshold, and zero below it.

`g_i = w(z_i - t) / Σ_j w(z_j - t)` with the scores `z = slope beta s` and the threshold `t` at which
`Σ_i m(z_i - t) = count`. Both `w` and `m` are powers of `max(z - t, 0)`, so one search for `t` serves all, and a memory
too large to be compared at once finds `t` in a few passes (`hopfax.memory.sparse_streams`).

Sources: [blondel2020] and [santos2024].
"""

import functools as ft
from abc import abstractmethod
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Inexact

from .._internal.checks import require, require_integer, require_number
from .base import AbstractCoupled, Scalar, State, like, require_positive

Scores = Inexact[Array, "*scores"]


class Power(NamedTuple):
    """`min(max(x, 0)^power, ceiling)`."""

    power: float
    ceiling: float = float("inf")

    def __call__(self, x: Scores) -> Scores:
        return jnp.minimum(jnp.where(x > 0, _power(jnp.where(x > 0, x, 1), self.power), 0), self.ceiling)

    def derivative(self, x: Scores) -> Scores:
        """The derivative, zero at and below 0 and where the ceiling is reached."""
        rising = (x > 0) & (self(x) < self.ceiling)
        return jnp.where(rising, self.power * _power(jnp.where(rising, x, 1), self.power - 1), 0)


def _power(x: Scores, exponent: float) -> Scores:
    """`x^exponent`; whole exponents as integers, so that no derivative divides by `x`."""
    return x ** (int(exponent) if float(exponent).is_integer() else exponent)


class AbstractThreshold(AbstractCoupled):
    """A Lagrangian whose gradient is sparse: `L(s) = max_p [p·s - W(p)]` over weights `p`, with `L*(g) = W(g)`."""

    beta: eqx.AbstractVar[ArrayLike]
    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = False
    shift_invariant: ClassVar[bool] = True

    @property
    @abstractmethod
    def slope(self) -> float:
        """The scores are `z = slope beta s`."""

    @property
    @abstractmethod
    def mass(self) -> Power:
        """`m`; the threshold is where its sum is `count`."""

    @property
    @abstractmethod
    def weight(self) -> Power:
        """`w`."""

    @property
    def count(self) -> int:
        """`Σ_i m(z_i - t)`; `t` lies at most 1 below the score of this rank."""
        return 1

    @property
    def margin(self) -> float | None:
        return 1 / self.slope

    def __call__(self, state: State) -> Scalar:
        g = self.activation(state)
        # Without the states that have no weight, which may be near overflow, such as those of padding.
        return jnp.sum(g * jnp.where(g > 0, state, 0)) - self.energy(state)

    def activation(self, state: State) -> State:
        ranked = lax.top_k(state.reshape(-1), self.count)[0]
        scores = self.slope * like(self.beta, state) * (state - lax.stop_gradient(ranked[-1]))
        weights = self.weight(scores - threshold(self.mass, self.count, scores))
        return weights / jnp.sum(weights)


class Normmax(AbstractThreshold):
    """`g = argmax_p [beta p·s - |p|_alpha]` on the simplex: sparse, with more equal weights than `Entmax` gives.

    `g_i ∝ max(beta s_i - t, 0)^(1/(alpha - 1))`, with `Σ_i max(beta s_i - t, 0)^(alpha/(alpha - 1)) = 1`, and
    `L* = (|g|_alpha - 1) / beta`. At large `alpha` all positive weights are nearly equal.

    Args:
        alpha: above 1; fixed.
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for other values.
    Source: [blondel2020], section 4.3; [santos2024].
    """

    alpha: int | float = eqx.field(static=True, default=2.0)
    beta: ArrayLike = 1.0
    slope: ClassVar[float] = 1.0

    def __check_init__(self):
        require_number("Normmax.alpha", self.alpha, lambda x: 1 < x < float("inf"), "a finite number above 1")
        require_positive("Normmax.beta", self.beta)

    @property
    def mass(self) -> Power:
        return Power(self.alpha / (self.alpha - 1))

    @property
    def weight(self) -> Power:
        return Power(1 / (self.alpha - 1))

    def energy(self, state: State) -> Scalar:
        norm = jnp.sum(Power(self.alpha)(self.activation(state))) ** (1 / self.alpha)
        return (norm - 1) / like(self.beta, state)


class KSubsets(AbstractThreshold):
    """SparseMAP over subsets of `k` neurons: `g = y / k`, `y` the projection of `beta s` onto `0 <= y <= 1, Σ y = k`.

    `y_i = clip(beta s_i - t, 0, 1)`. Where the `k` largest states lead by `1 / beta`, `g` is the average over them, so
    a memory recalls the mean of `k` patterns. `L* = (k |g|² - 1) / (2 beta)`. With `k = 1` it is `Sparsemax`.

    Args:
        k: the size of the subsets, at least 1 and at most the number of neurons; fixed.
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for other values.
    Source: [niculae2018]; [santos2024], where the weights are not divided by `k`.
    """

    k: int = eqx.field(static=True, default=2)
    beta: ArrayLike = 1.0
    slope: ClassVar[float] = 1.0
    mass: ClassVar[Power] = Power(1.0, 1.0)
    weight: ClassVar[Power] = Power(1.0, 1.0)

    def __check_init__(self):
        require_integer("KSubsets.k", self.k, 1)
        require_positive("KSubsets.beta", self.beta)

    @property
    def count(self) -> int:
        return self.k

    @property
    def margin(self) -> float | None:
        return 1.0 if self.k == 1 else None

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises: `ValueError` for more than one axis, or fewer neurons than `k`."""
        AbstractThreshold.check_shape(self, shape)
        require(
            self.k <= shape[0], f"`KSubsets(k={self.k})` needs {self.k} neurons, the layer has {shape[0]}."
        )

    def energy(self, state: State) -> Scalar:
        squares = jnp.sum(jnp.square(self.activation(state)))
        return (self.k * squares - 1) / (2 * like(self.beta, state))


@ft.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def threshold(mass: Power, count: int, scores: Scores) -> Scalar:
    """The `t` with `Σ_i mass(z_i - t) = count`, to rounding, for scores among which the one of rank `count` is 0."""

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        enough = jnp.sum(mass(scores - middle)) >= count
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    # At -1 the `count` largest have mass 1, and at 0 fewer have any. As many halvings as the dtype has bits end at
    # rounding.
    ends = jnp.full((), -1, scores.dtype), jnp.zeros((), scores.dtype)
    return lax.fori_loop(0, jnp.finfo(scores.dtype).nmant + 8, halve, ends)[0]


@threshold.defjvp
def _threshold_jvp(mass, count, primals, tangents):
    """`dt = Σ m' dz / Σ m'`, by the implicit derivative; any value is right where no weight can change."""
    t = threshold(mass, count, *primals)
    rates = mass.derivative(primals[0] - t)
    total = jnp.sum(rates)
    return t, jnp.sum(rates * tangents[0]) / jnp.where(total > 0, total, 1)
