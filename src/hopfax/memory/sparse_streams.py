"""Sparse weights of patterns, in a few passes over the chunks.

The first pass keeps the largest scores, which have all the weight at useful `beta`, and so gives the threshold. The
last sums the patterns. Where more patterns have weight, passes in between find the threshold by Newton's method. No
pass keeps more than one chunk of scores, and the result is exact to rounding. Derived here.
"""

import functools as ft
from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from .._internal.checks import require_kind
from ..lagrangians.thresholds import AbstractThreshold, Power, threshold
from .sharded import Beta, PatternChunk, Query, ShardedPatterns
from .similarities import AbstractSimilarity, Euclidean
from .streams import AbstractStream, TopK, empty_mixture, largest_scores, rows_to_mix

LARGEST = 64  # scores kept in the first pass: enough for one recalled pattern and its neighbours
_MOST_PASSES = 100  # bisection alone ends at rounding before this

Column = Float[Array, "batch 1"]


class AbstractWeights(eqx.Module):
    """The weights of patterns, as a function of their scores."""

    @abstractmethod
    def __call__(
        self, scores: Float[Array, "batch rows"], index: Int[Array, "#batch rows"]
    ) -> Float[Array, "batch rows"]:
        """Values proportional to the weights of the patterns with these scores and numbers."""


class AbstractSparseStream(AbstractStream):
    """Passes that give the weights as a function of the scores, and one more that sums."""

    @abstractmethod
    def weights(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta) -> AbstractWeights:
        """The weights for each query."""

    def mixture(
        self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
    ) -> Float[Array, "batch width"]:
        weights = self.weights(stored, rows, query, beta)

        def add(carry, chunk: PatternChunk):
            p = weights(chunk.scores, chunk.index[None, :])
            return carry[0] + p @ rows_to_mix(chunk, values), carry[1] + jnp.sum(p, axis=1)

        first = empty_mixture(rows, query, values)
        mixture, total = stored.sum(stored.fold(add, first, rows, query, beta))
        return mixture / total[:, None]

    def top_k(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int) -> TopK:
        weights = self.weights(stored, rows, query, beta)
        add = lambda total, chunk: total + jnp.sum(weights(chunk.scores, chunk.index[None, :]), axis=1)
        zero = jnp.zeros(query.states.shape[0], query.states.dtype)
        total = stored.sum(stored.fold(add, zero, rows, query, beta))
        scores, index = largest_scores(stored, rows, query, beta, k)
        return TopK(scores, index, weights(scores, index) / total[:, None])


class AboveThreshold(AbstractWeights):
    """`power(slope (score - threshold))`."""

    threshold: Column
    slope: float
    power: Power

    def __call__(
        self, scores: Float[Array, "batch rows"], index: Int[Array, "#batch rows"]
    ) -> Float[Array, "batch rows"]:
        return self.power(self.slope * (scores - self.threshold))


class ThresholdStream(AbstractSparseStream):
    """Two passes where at most `LARGEST` patterns have weight, and a few more where more have."""

    separation: AbstractThreshold

    def weights(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta) -> AbstractWeights:
        slope, count, mass = self.separation.slope, self.separation.count, self.separation.mass
        size = min(max(LARGEST, count + 1), stored.count)
        best, _ = largest_scores(stored, rows, query, beta, size)
        reference = best[:, count - 1 : count]
        scores = slope * (best - reference)
        low = jax.vmap(ft.partial(threshold, mass, count))(scores)
        # A pattern that was not kept has weight only if the one of the lowest kept score has.
        complete = (scores[:, -1] <= low) | (size >= stored.number)

        def sums(t):
            def add(carry, chunk: PatternChunk):
                excess = slope * (chunk.scores - reference) - t[:, None]
                terms = mass(excess), mass.derivative(excess)
                return tuple(c + jnp.sum(x, axis=1) for c, x in zip(carry, terms, strict=True))

            return stored.sum(stored.fold(add, (jnp.zeros_like(t),) * 2, rows, query, beta))

        t = _refined(sums, count, low, complete)
        return AboveThreshold(reference + t[:, None] / slope, slope, self.separation.weight)

    def check(self, similarity: AbstractSimilarity, count: int) -> None:
        self.separation.check_shape((count,))


class WithinRadius(AbstractWeights):
    """1 for scores above the score at the radius; if there are none, 1 for the nearest pattern alone."""

    radius: Column
    peak: Column
    nearest: Int[Array, "batch 1"]

    def __call__(
        self, scores: Float[Array, "batch rows"], index: Int[Array, "#batch rows"]
    ) -> Float[Array, "batch rows"]:
        inside = jnp.where(self.peak > self.radius, scores > self.radius, index == self.nearest)
        return inside.astype(scores.dtype)


class EpanechnikovStream(AbstractSparseStream):
    """A pass for the nearest pattern, and one for the mean of those within the radius."""

    def weights(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta) -> AbstractWeights:
        # A score is `beta (|x|² - |x - x_i|²) / 2`.
        radius = beta * jnp.sum(jnp.square(query.states), axis=1, keepdims=True) / 2 - 1
        return WithinRadius(radius, *largest_scores(stored, rows, query, beta, 1))

    def check(self, similarity: AbstractSimilarity, count: int) -> None:
        require_kind("similarity", similarity, Euclidean, "Euclidean()")


def _refined(sums, count: int, low: Float[Array, " batch"], done: Bool[Array, " batch"]) -> Array:
    """The thresholds at which the sums are `count`, from below, by Newton's method within a shrinking bracket."""
    tolerance = 4 * count * jnp.finfo(low.dtype).eps

    def step(carry):
        t, low, high, done, passes = carry
        total, rate = sums(t)
        low, high = jnp.where(total >= count, t, low), jnp.where(total >= count, high, t)
        newton = t + (total - count) / jnp.where(rate > 0, rate, 1)
        new = jnp.where((rate > 0) & (newton >= low) & (newton <= high), newton, (low + high) / 2)
        done = done | (jnp.abs(total - count) <= tolerance) | (new == t)
        return jnp.where(done, t, new), low, high, done, passes + 1

    unfinished = lambda carry: jnp.any(~carry[3]) & (carry[4] < _MOST_PASSES)
    return lax.while_loop(unfinished, step, (low, low, jnp.zeros_like(low), done, 0))[0]
