"""Separations: Lagrangians of a memory layer, which decide how strongly the best pattern dominates.

Each is `L(s) = L_1(beta s) / beta` with the inverse temperature `beta`. They and `lagrangians.Softmax` can be the
`separation` of a `ModernHopfield`, as can any function from `beta` to a Lagrangian.

Sources: Krotov and Hopfield (2016), "Dense associative memory for pattern recognition", arXiv:1606.01164;
Demircigil et al. (2017), arXiv:1702.01929; Peters, Niculae and Martins (2019), "Sparse sequence-to-sequence
models", arXiv:1905.05702.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Inexact

from .._internal.checks import require_number
from .base import AbstractCoupled, AbstractElementwise, Scalar, State, like, require_positive
from .coupled import Softmax
from .thresholds import AbstractThreshold, Power


class Polynomial(AbstractElementwise):
    """Rectified powers: `l(s) = max(beta s, 0)^n / (n beta)`, `g = max(beta s, 0)^(n-1)`.

    `l* = (1 - 1/n) max(beta s, 0)^n / beta`. Degree 2, with every pattern and its inverse stored, gives the
    classical Hebbian energy. In float32 states beyond `10^(38/n)` overflow.

    Args:
        degree: `n`, at least 2.
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for other values.
    Source: Krotov and Hopfield (2016), eq. 6.
    """

    degree: int | float = eqx.field(static=True)
    beta: ArrayLike = 1.0
    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    def __check_init__(self):
        rule = "a finite number, at least 2, for a smooth activation"
        require_number("Polynomial.degree", self.degree, lambda x: 2 <= x < float("inf"), rule)
        require_positive("Polynomial.beta", self.beta)

    def pointwise(self, state: State) -> State:
        beta = like(self.beta, state)
        return jax.nn.relu(beta * state) ** self.degree / (self.degree * beta)

    def activation(self, state: State) -> State:
        return jax.nn.relu(like(self.beta, state) * state) ** (self.degree - 1)

    def energy(self, state: State) -> Scalar:
        return (self.degree - 1) * self(state)


class Exponential(AbstractElementwise):
    """Exponential neurons: `l(s) = exp(beta s) / beta`, `g = exp(beta s)`.

    `l* = (s - 1/beta) exp(beta s)`. It is `Softmax` without the competition, which keeps the values of `Softmax` from
    overflowing: here they overflow in float32 where `beta s` exceeds 88. With `SphericalNorm` visible neurons, which
    depend only on directions, both recall the same states.

    Args:
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for another `beta`.
    Source: Demircigil et al. (2017).
    """

    beta: ArrayLike = 1.0
    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = True
    linear_gain: ClassVar[float | None] = None

    def __check_init__(self):
        require_positive("Exponential.beta", self.beta)

    def pointwise(self, state: State) -> State:
        beta = like(self.beta, state)
        return jnp.exp(beta * state) / beta

    def activation(self, state: State) -> State:
        return jnp.exp(like(self.beta, state) * state)

    def energy(self, state: State) -> Scalar:
        beta = like(self.beta, state)
        return jnp.sum((state - 1 / beta) * jnp.exp(beta * state))


class Softmax1(AbstractCoupled):
    """Softmax with one more neuron, whose state is 0: `g = exp(beta s) / (1 + Σ_j exp(beta s_j))`.

    `L(s) = log(1 + Σ_i exp(beta s_i)) / beta` and `L* = (Σ_i g_i log g_i + g_0 log g_0) / beta`, with the weight
    `g_0 = 1 - Σ_i g_i` of that neuron, a "ghost" pattern of zeros. Where all states are low, all weights are near
    zero: attention to nothing. A constant added to all states changes the weights, unlike with `Softmax`.

    Args:
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for another `beta`.
    Source: Hu et al. (2024), "Outlier-efficient Hopfield layers for large transformer-based models",
        arXiv:2404.03828.
    """

    beta: ArrayLike = 1.0
    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = True

    def __check_init__(self):
        require_positive("Softmax1.beta", self.beta)

    def __call__(self, state: State) -> Scalar:
        return Softmax(self.beta)(_with_zero(state))

    def activation(self, state: State) -> State:
        return Softmax(self.beta).activation(_with_zero(state))[1:].reshape(state.shape)

    def energy(self, state: State) -> Scalar:
        return Softmax(self.beta).energy(_with_zero(state))


def _with_zero(state: State) -> Inexact[Array, " neurons_and_zero"]:
    """All neurons in one vector, after one of state 0."""
    return jnp.concatenate([jnp.zeros(1, state.dtype), state.reshape(-1)])


class Sparsemax(AbstractThreshold):
    """`g` is the Euclidean projection of `beta s` onto the simplex: few entries are positive, the others exactly zero.

    `L(s) = max_p [p·s - (|p|² - 1) / (2 beta)]` over the simplex, `g` is the maximiser, and
    `L* = (|g|² - 1) / (2 beta)`.

    Args:
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for another `beta`.
    Source: Martins and Astudillo (2016), arXiv:1602.02068, algorithm 1.
    """

    beta: ArrayLike = 1.0
    slope: ClassVar[float] = 1.0
    mass: ClassVar[Power] = Power(1.0)
    weight: ClassVar[Power] = Power(1.0)

    def __check_init__(self):
        require_positive("Sparsemax.beta", self.beta)

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


class Entmax(AbstractThreshold):
    """`g_i = max((alpha - 1) beta s_i - t, 0)^(1/(alpha - 1))`: between softmax (`alpha` to 1) and sparsemax (2).

    `t` makes `g` sum to one. It is found by bisection to rounding, and differentiated in closed form.
    `L(s) = max_p [p·s - W(p)]` over the simplex, with `L* = W(g) = (Σ_i g_i^alpha - 1) / (alpha (alpha - 1) beta)`.

    Args:
        alpha: above 1; fixed.
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for other values.
    Source: Peters, Niculae and Martins (2019), eq. 8 and 10, algorithm 1.
    """

    alpha: int | float = eqx.field(static=True, default=1.5)
    beta: ArrayLike = 1.0

    def __check_init__(self):
        rule = "a finite number above 1; `Softmax` is the limit at 1"
        require_number("Entmax.alpha", self.alpha, lambda x: 1 < x < float("inf"), rule)
        require_positive("Entmax.beta", self.beta)

    @property
    def slope(self) -> float:
        return self.alpha - 1

    @property
    def mass(self) -> Power:
        return Power(1 / (self.alpha - 1))

    @property
    def weight(self) -> Power:
        return self.mass

    def energy(self, state: State) -> Scalar:
        # A power below 2 has no second derivative at zero, where the entries of `g` are constant.
        powers, alpha = Power(self.alpha)(self.activation(state)), self.alpha
        return (jnp.sum(powers) - 1) / (alpha * (alpha - 1) * like(self.beta, state))
