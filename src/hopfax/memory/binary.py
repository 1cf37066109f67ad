"""Classical binary Hopfield networks: three storage rules, asynchronous and synchronous updates.

Neurons are -1 or +1, patterns are rows, and the energy is `E = -s^T W s / 2 - b^T s`. The field's baseline:
a `HAM` has continuous neurons and the same minima only in the limit of steep activations.
"""

import abc
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key

from .._internal.checks import require_key, require_kind, require_matrix, require_integer

Patterns = Float[Array, "patterns neurons"]
Weights = Float[Array, "neurons neurons"]
State = Float[Array, " neurons"]


def hebb(patterns: Patterns) -> Weights:
    """`W = X^T X / n` without its diagonal; `n` neurons hold about `0.138 n` random patterns.

    Source: [hopfield1982], eq. 2; [amit1985] for the capacity.
    """
    require_matrix("patterns", patterns)
    return _hollow(patterns.T @ patterns / patterns.shape[1])


def projection(patterns: Patterns) -> Weights:
    """`W = X^+ X` without its diagonal, the projector on the span of the patterns: holds up to `n`
    independent ones.

    Also called pseudo-inverse rule; for correlated patterns. Source: [personnaz1985], eq. 9; Kanter and
    Sompolinsky (1987) for the missing diagonal.
    """
    require_matrix("patterns", patterns)
    return _hollow(jnp.linalg.pinv(patterns) @ patterns)


def storkey(patterns: Patterns) -> Weights:
    """Pattern after pattern, `w_ij += (x_i x_j - x_i h_ji - h_ij x_j) / n` with `h_ij = sum_{k != i, j} w_ik
    x_k`.

    Local and incremental as Hebb's rule, with a capacity of about `n / sqrt(2 ln n)`. The order matters
    little.
    Source: Storkey (1997), "Increasing the capacity of a Hopfield network without sacrificing functionality",
    eq. 2-3.
    """

    def learn(weights, pattern):
        # The diagonal of `weights` is zero, so only `k = j` is left to take out of the sum.
        field = (weights @ pattern)[:, None] - weights * pattern[None, :]
        change = pattern[:, None] * pattern[None, :] - pattern[:, None] * field.T - field * pattern[None, :]
        return weights + _hollow(change) / pattern.size, None

    require_matrix("patterns", patterns)
    size = patterns.shape[1]
    return lax.scan(learn, jnp.zeros((size, size), patterns.dtype), patterns)[0]


class AbstractOrder(eqx.Module):
    """In which order the neurons of one example take their new values in one sweep."""

    descends: eqx.AbstractClassVar[bool]  # whether the energy never rises

    @abc.abstractmethod
    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        """The state after sweep number `count`, which updates every neuron once."""


class Synchronous(AbstractOrder):
    """All neurons at once; may end in a cycle of length two. Source: [little1974]."""

    descends: ClassVar[bool] = False

    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        return _sign(network.field(state), state, network.slack)


class Sequential(AbstractOrder):
    """One neuron after another, by number: no randomness, but early neurons go first."""

    descends: ClassVar[bool] = True

    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        return _one_by_one(network, state, jnp.arange(state.size))


class Random(AbstractOrder):
    """One neuron after another, in a new random order each sweep, the same for a whole batch."""

    key: Key[Array, ""]
    descends: ClassVar[bool] = True

    def __check_init__(self):
        require_key("Random", self.key)

    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        return _one_by_one(network, state, jr.permutation(jr.fold_in(self.key, count), state.size))


class BinaryRecall(eqx.Module):
    """Where each query came to rest; `cycles` marks synchronous updates that alternate between two states."""

    state: Float[Array, "*batch neurons"]
    energy: Float[Array, "*batch"]
    sweeps: Int[Array, "*batch"]
    converged: Bool[Array, "*batch"]
    cycles: Bool[Array, "*batch"]


class BinaryHopfield(eqx.Module):
    """`s_i <- sign(sum_j w_ij s_j + b_i)`, a neuron in zero field keeping its value.

    Args: `weights` symmetric with zero diagonal; `bias` zero by default.
    Raises: `ValueError` for weights without these properties, which the descent of the energy rests on.
    Source: [hopfield1982].
    """

    weights: Weights
    bias: State
    slack: State  # fields this small are rounding errors of zero, which must not decide a tie

    def __init__(self, weights: Weights | np.ndarray, bias: State | None = None):
        self.weights = _square(weights)
        if bias is not None and jnp.shape(bias) != self.weights.shape[:1]:
            raise ValueError(
                f"`bias` has shape {jnp.shape(bias)}, the weights need {self.weights.shape[:1]}."
            )
        self.bias = jnp.zeros(len(self.weights), self.weights.dtype) if bias is None else jnp.asarray(bias)
        total = jnp.sum(jnp.abs(self.weights), axis=1) + jnp.abs(self.bias)
        self.slack = 8 * jnp.finfo(total.dtype).eps * total

    def __check_init__(self):
        if isinstance(self.weights, Tracer):
            return
        weights = np.asarray(self.weights)
        if not np.allclose(weights, weights.T, rtol=1e-5, atol=1e-6) or np.any(np.diagonal(weights)):
            raise ValueError(
                "`weights` must be symmetric with a zero diagonal; use `hebb`, `projection` or `storkey`."
            )

    @classmethod
    def store(
        cls,
        patterns: Float[Array | np.ndarray, "patterns neurons"],
        rule: Callable[[Patterns], Weights] = hebb,
    ) -> "BinaryHopfield":
        """The network that a rule makes of patterns in rows. Raises: `ValueError` for values other than -1
        and 1.
        """
        require_matrix("patterns", patterns)
        check_signs("patterns", patterns)
        if not callable(rule):
            raise ValueError(f"`rule={rule!r}` must be a function of the patterns, such as `hebb`.")
        weights = rule(jnp.asarray(patterns))
        return cls((weights + weights.T) / 2)

    def field(self, state: State) -> State:
        """`h = W s + b`."""
        return self.weights @ state + self.bias

    def energy(self, state: State) -> Float[Array, ""]:
        """`E = -s^T W s / 2 - b^T s`."""
        return -jnp.dot(state, self.weights @ state) / 2 - jnp.dot(self.bias, state)

    def stable(self, state: State) -> Bool[Array, ""]:
        """Whether no neuron would change."""
        return jnp.all(_sign(self.field(state), state, self.slack) == state)

    def recall(
        self,
        queries: Float[Array | np.ndarray, "*batch neurons"],
        *,
        order: AbstractOrder = Sequential(),
        max_sweeps: int = 100,
    ) -> BinaryRecall:
        """Sweeps until nothing changes; each query of a batch by itself.

        Raises: `ValueError` for values other than -1 and 1, or queries of another width.
        """
        check_signs("queries", queries)
        require_kind("order", order, AbstractOrder, "Sequential()")
        require_integer("max_sweeps", max_sweeps, 1)
        if np.shape(queries)[-1] != self.bias.size or np.ndim(queries) > 2:
            raise ValueError(
                f"`queries` has shape {np.shape(queries)}; the last axis must be {self.bias.size}."
            )
        return _recall(self, jnp.asarray(queries, self.weights.dtype), order, max_sweeps)


def _square(weights: Weights | np.ndarray) -> Weights:
    require_matrix("weights", weights)
    if weights.shape[0] != weights.shape[1]:
        raise ValueError(
            f"`weights` has shape {weights.shape}; give a square matrix, a row and a column a neuron."
        )
    return jnp.asarray(weights)


def check_signs(name: str, values: Float[Array | np.ndarray, "..."]) -> None:
    """Raises `ValueError` unless every value is -1 or 1; traced values pass."""
    if not isinstance(values, Tracer) and not np.all(np.abs(np.asarray(values)) == 1):
        raise ValueError(f"`{name}` must be -1 or 1; use `np.where(x > threshold, 1.0, -1.0)`.")


@eqx.filter_jit
def _recall(network, queries, order, max_sweeps):
    one = lambda query: _recall_one(network, query, order, max_sweeps)
    return one(queries) if queries.ndim == 1 else jax.vmap(one)(queries)


def _recall_one(network: BinaryHopfield, query: State, order: AbstractOrder, max_sweeps: int) -> BinaryRecall:
    def step(carry):
        state, previous, _, count = carry
        new = order.sweep(network, state, count)
        return new, state, jnp.all(new == previous), count + 1

    def going(carry):
        state, previous, back, count = carry
        return jnp.any(state != previous) & ~back & (count < max_sweeps)

    start = (query, -query, jnp.array(False), jnp.zeros((), int))
    state, previous, back, count = lax.while_loop(going, step, start)
    still = jnp.all(state == previous)
    # The last sweep only confirms; and a start to which the first sweep returns is at rest, not in a cycle.
    return BinaryRecall(state, network.energy(state), count - still, still, back & ~still)


def _one_by_one(network: BinaryHopfield, state: State, order: Int[Array, " neurons"]) -> State:
    """Each neuron in `order` once, seeing the new values of those before it."""

    def flip(state, i):
        field = jnp.dot(network.weights[i], state) + network.bias[i]
        return state.at[i].set(_sign(field, state[i], network.slack[i])), None

    return lax.scan(flip, state, order)[0]


def _sign(field: Array, state: Array, slack: Array) -> Array:
    return jnp.where(jnp.abs(field) <= slack, state, jnp.sign(field))


def _hollow(weights: Weights) -> Weights:
    return weights - jnp.diag(jnp.diagonal(weights))
