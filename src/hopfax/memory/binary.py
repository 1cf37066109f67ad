"""Classical binary Hopfield networks, with asynchronous and synchronous updates.

Neurons are -1 or +1, patterns are rows, and the energy is `E = -sᵀ W s / 2 - bᵀ s`. These networks are the field's
baseline: a `HAM` has continuous neurons, and the same minima only in the limit of steep activations.
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

from .._internal.checks import require, require_integer, require_key, require_kind, require_matrix
from .inputs import as_array
from .storage_rules import Patterns, Synapses, hebb

State = Float[Array, " neurons"]


class AbstractSchedule(eqx.Module):
    """The order in which the neurons of one example are updated in a sweep."""

    monotone: eqx.AbstractClassVar[bool]
    """Whether the energy never rises."""

    @abc.abstractmethod
    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        """The state after sweep number `count`, in which every neuron is updated once."""


class SynchronousSchedule(AbstractSchedule):
    """All neurons at once; may end in a cycle of length two. Source: [little1974]."""

    monotone: ClassVar[bool] = False

    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        return _sign(network.field(state), state, network.tie_tolerance)


class SequentialSchedule(AbstractSchedule):
    """One neuron after another in the order of their numbers: deterministic, but early neurons go first."""

    monotone: ClassVar[bool] = True

    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        return _update_in_order(network, state, jnp.arange(state.size))


class RandomSchedule(AbstractSchedule):
    """One neuron after another, in a new random order for each sweep, the same for a whole batch."""

    key: Key[Array, ""]
    monotone: ClassVar[bool] = True

    def __check_init__(self):
        require_key("RandomSchedule", self.key)

    def sweep(self, network: "BinaryHopfield", state: State, count: Int[Array, ""]) -> State:
        return _update_in_order(network, state, jr.permutation(jr.fold_in(self.key, count), state.size))


class BinaryRecall(eqx.Module):
    """The states that the queries converged to, and the stored patterns they are closest to.

    The last three are None for a network that was made of weights rather than of patterns.

    Args:
        state: the last state.
        energy: its energy.
        sweeps: how many sweeps changed something.
        converged: whether the state is a fixed point.
        cycles: whether synchronous updates alternate between two states.
        index: the pattern with the largest `|overlap|`.
        overlap: `x · s / n` of the state with this pattern: 1 for the pattern, -1 for its inverse. A state between
            them is a mixture or another spurious state.
        nearest: the pattern that was closest to the query.
    """

    state: Float[Array, "*batch neurons"]
    energy: Float[Array, "*batch"]
    sweeps: Int[Array, "*batch"]
    converged: Bool[Array, "*batch"]
    cycles: Bool[Array, "*batch"]
    index: Int[Array, "*batch"] | None = None
    overlap: Float[Array, "*batch"] | None = None
    nearest: Int[Array, "*batch"] | None = None

    @property
    def inverted(self) -> Bool[Array, "*batch"]:
        """Whether the state is closer to the inverse of a pattern than to any pattern.

        Raises: `ValueError` for a network without patterns.
        """
        return self._known(self.overlap) < 0

    @property
    def other_pattern(self) -> Bool[Array, "*batch"]:
        """Whether the state is closest to another pattern than the query was, or to its inverse.

        Raises: `ValueError` for a network without patterns.
        """
        return self._known(self.index) != self._known(self.nearest)

    def _known(self, value: Array | None) -> Array:
        if value is None:
            raise ValueError("the network does not know its patterns; make it with `BinaryHopfield.store`.")
        return value


class BinaryHopfield(eqx.Module):
    """`s_i ← sign(Σ_j w_ij s_j + b_i)`; a neuron in zero field keeps its value.

    Args:
        weights: symmetric with zero diagonal.
        bias: zero by default.
        patterns: the patterns that the weights store, in rows; recall then says which of them it reached.
    Raises: `ValueError` for weights that are not symmetric or have a diagonal, with which the energy might rise.
    Source: [hopfield1982].
    """

    weights: Synapses
    bias: State
    tie_tolerance: State  # fields below it are rounding errors of zero, which must not decide a tie
    patterns: Patterns | None

    def __init__(
        self, weights: Synapses | np.ndarray, bias: State | None = None, patterns: Patterns | None = None
    ):
        self.weights = _square(as_array("weights", weights))
        size = self.weights.shape[:1]
        if bias is not None:
            require(jnp.shape(bias) == size, f"`bias` has shape {jnp.shape(bias)}, the weights need {size}.")
        self.bias = jnp.zeros(size, self.weights.dtype) if bias is None else jnp.asarray(bias)
        total = jnp.sum(jnp.abs(self.weights), axis=1) + jnp.abs(self.bias)
        self.tie_tolerance = 8 * jnp.finfo(total.dtype).eps * total
        self.patterns = patterns

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
        rule: Callable[[Patterns], Synapses] = hebb,
    ) -> "BinaryHopfield":
        """The network with the weights that `rule` makes of the patterns.

        Raises: `ValueError` for values other than -1 and 1.
        """
        array = as_array("patterns", patterns)
        require_matrix("patterns", array)
        check_signs("patterns", array)
        require(callable(rule), f"`rule={rule!r}` must be a function of the patterns, such as `hebb`.")
        signs = jnp.asarray(array)
        weights = rule(signs)
        return cls((weights + weights.T) / 2, patterns=signs)

    def field(self, state: State) -> State:
        """`h = W s + b`."""
        return self.weights @ state + self.bias

    def energy(self, state: State) -> Float[Array, ""]:
        """`E = -sᵀ W s / 2 - bᵀ s`."""
        return -jnp.dot(state, self.weights @ state) / 2 - jnp.dot(self.bias, state)

    def is_stable(self, state: State) -> Bool[Array, ""]:
        """Whether no neuron would change."""
        return jnp.all(_sign(self.field(state), state, self.tie_tolerance) == state)

    def recall(
        self,
        queries: Float[Array | np.ndarray, "*batch neurons"],
        *,
        schedule: AbstractSchedule = SequentialSchedule(),
        max_sweeps: int = 100,
    ) -> BinaryRecall:
        """Sweeps over the neurons until nothing changes, for each query of a batch separately.

        Raises: `ValueError` for values other than -1 and 1, or queries of another width.
        """
        array = as_array("queries", queries)
        check_signs("queries", array)
        require_kind("schedule", schedule, AbstractSchedule, "SequentialSchedule()")
        require_integer("max_sweeps", max_sweeps, 1)
        require(
            array.shape[-1:] == self.bias.shape and array.ndim <= 2,
            f"`queries` has shape {array.shape}; the last axis must be {self.bias.size}.",
        )
        return _recall(self, jnp.asarray(array, self.weights.dtype), schedule, max_sweeps)


def check_signs(name: str, values: Float[Array | np.ndarray, "..."]) -> None:
    """Raises `ValueError` unless every value is -1 or 1; traced values pass."""
    if not isinstance(values, Tracer) and not np.all(np.abs(np.asarray(values)) == 1):
        raise ValueError(f"`{name}` must be -1 or 1; use `np.where(x > threshold, 1.0, -1.0)`.")


def _square(weights: Array | np.ndarray) -> Synapses:
    require_matrix("weights", weights)
    require(
        weights.shape[0] == weights.shape[1],
        f"`weights` has shape {weights.shape}; give a square matrix, a row and a column for each neuron.",
    )
    return jnp.asarray(weights)


@eqx.filter_jit
def _recall(network, queries, schedule, max_sweeps):
    one = lambda query: _recall_one(network, query, schedule, max_sweeps)
    return one(queries) if queries.ndim == 1 else jax.vmap(one)(queries)


def _recall_one(
    network: BinaryHopfield, query: State, schedule: AbstractSchedule, max_sweeps: int
) -> BinaryRecall:
    def step(carry):
        state, previous, _, count = carry
        new = schedule.sweep(network, state, count)
        # Before the first sweep there is no state to return to.
        return new, state, jnp.all(new == previous) & (count > 0), count + 1

    def unfinished(carry):
        state, previous, returned, count = carry
        return jnp.any(state != previous) & ~returned & (count < max_sweeps)

    # The inverse stands for a previous state that differs, so that there is a first sweep.
    start = (query, -query, jnp.array(False), jnp.zeros((), int))
    state, previous, returned, count = lax.while_loop(unfinished, step, start)
    converged = jnp.all(state == previous)
    # If the state is stable, the last sweep only confirmed it.
    sweeps, cycles = count - converged, returned & ~converged
    index, overlap, nearest = _closest(network.patterns, query, state)
    return BinaryRecall(state, network.energy(state), sweeps, converged, cycles, index, overlap, nearest)


def _closest(
    patterns: Patterns | None, query: State, state: State
) -> tuple[Array | None, Array | None, Array | None]:
    """The pattern of largest `|overlap|` with `state`, that overlap, and the pattern closest to `query`."""
    if patterns is None:
        return None, None, None
    overlaps = patterns.astype(state.dtype) @ state / state.size
    # If a pattern and its inverse are both stored, ties go to the positive overlap.
    ranks = jnp.abs(overlaps) + jnp.finfo(overlaps.dtype).eps * (overlaps > 0)
    index = jnp.argmax(ranks)
    return index, overlaps[index], jnp.argmax(patterns.astype(query.dtype) @ query)


def _update_in_order(network: BinaryHopfield, state: State, order: Int[Array, " neurons"]) -> State:
    """Each neuron in `order` once; later ones see the new values of earlier ones."""

    def flip(state, i):
        field = jnp.dot(network.weights[i], state) + network.bias[i]
        return state.at[i].set(_sign(field, state[i], network.tie_tolerance[i])), None

    return lax.scan(flip, state, order)[0]


def _sign(field: Array, state: Array, tie_tolerance: Array) -> Array:
    return jnp.where(jnp.abs(field) <= tie_tolerance, state, jnp.sign(field))
