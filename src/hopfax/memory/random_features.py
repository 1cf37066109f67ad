"""A memory of fixed size: the sum of random features of the patterns, in place of the patterns."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, Real, ScalarLike

from .._internal.checks import as_integer, require, require_key
from .inputs import as_rows, check_beta, check_limits, check_width, to_floating
from .recall import check_queries
from .retrieval import Retrieval, largest_norm, repeat_update_of_batch

State = Float[Array, " dimension"]
Rows = Real[Array | np.ndarray, "rows dimension"]


class RandomFeatureMemory(eqx.Module):
    """`E(x) = -log(φ(x)·T) / beta` with `T = Σ_i φ(x_i)`: the energy of `Memory`, in as many numbers as features.

    `φ(x) = [cos(ω_1·x), sin(ω_1·x), ...] / sqrt(Y / 2)` with `Y` features and `ω ~ N(0, beta)`, so that
    `φ(x)·φ(y)` is `exp(-beta |x - y|² / 2)` on average. The error of the sum over `N` patterns falls as `1 / sqrt(Y)`,
    and is small beside the term of one pattern where `Y` is well above `N`. Far from all patterns the sum is noise;
    where it is not positive, the energy is infinite and the state stays where it is.

    Make one with `RandomFeatureMemory.store`. Patterns are added and removed in time that does not depend on how many
    there are.

    Args:
        frequencies: `ω`, in rows.
        total: `T`, the cosines first.
        beta: the inverse temperature.
        scale: the largest norm of a pattern so far, the unit of tolerances.
    Source: [hoover2024].
    """

    frequencies: Float[Array, "half dimension"]
    total: Float[Array, " features"]
    beta: Float[Array, ""]
    scale: Float[Array, ""]

    @classmethod
    def store(
        cls, patterns: Rows, beta: ScalarLike, features: int, key: Key[Array, ""]
    ) -> "RandomFeatureMemory":
        """A memory of patterns in rows, with an even number of `features`.

        Raises: `ValueError` for patterns that are not finite, `beta` not positive, features that are odd or less than
            2, and what is no key.
        """
        rows = as_rows("patterns", patterns)
        check_beta(beta)
        require_key("RandomFeatureMemory.store", key)
        half, odd = divmod(as_integer("features", features, 2), 2)
        require(not odd, f"`features={features}` must be even, a cosine and a sine for each frequency.")
        beta = jnp.asarray(beta, rows.dtype)
        frequencies = jnp.sqrt(beta) * jr.normal(key, (half, rows.shape[1]), rows.dtype)
        empty = cls(frequencies, jnp.zeros(2 * half, rows.dtype), beta, jnp.zeros((), rows.dtype))
        return empty.add(rows)

    def add(self, patterns: Rows) -> "RandomFeatureMemory":
        """A memory with more patterns, of the same size. Raises: `ValueError` for patterns that do not fit."""
        rows = self._rows(patterns)
        scale = jnp.maximum(self.scale, largest_norm(rows))
        return RandomFeatureMemory(self.frequencies, self.total + self._sum(rows), self.beta, scale)

    def remove(self, patterns: Rows) -> "RandomFeatureMemory":
        """A memory without these patterns. They must have been stored, which cannot be checked.

        Raises: `ValueError` for patterns that do not fit.
        """
        total = self.total - self._sum(self._rows(patterns))
        return RandomFeatureMemory(self.frequencies, total, self.beta, self.scale)

    def similarity(self, state: State) -> Float[Array, ""]:
        """`φ(x)·T`, on average `Σ_i exp(-beta |x - x_i|² / 2)`."""
        return self.features(state) @ self.total

    def energy(self, state: State) -> Float[Array, ""]:
        """`E(x)`; infinite where the similarity is not positive."""
        return -jnp.log(jnp.maximum(self.similarity(state), 0)) / self.beta

    def update(self, state: State) -> State:
        """`x' = x - dE/dx`, which is the update of `Memory` but for the error of the features."""
        value, slope = jax.value_and_grad(self.similarity)(state)
        return jnp.where(value > 0, state + slope / (self.beta * jnp.where(value > 0, value, 1)), state)

    def recall(
        self,
        queries: Real[Array | np.ndarray, "*batch dimension"],
        *,
        tolerance: float = 1e-5,
        max_steps: int = 100,
    ) -> Retrieval:
        """Repeats the update from each query, as `Memory.recall`. Raises: `ValueError` for queries that do not fit."""
        array, _ = check_queries(queries, None, self.frequencies.shape[1])
        check_limits(tolerance, max_steps)
        start = jnp.atleast_2d(to_floating(array).astype(self.total.dtype))
        result = _recall(self, start, jnp.asarray(tolerance), jnp.asarray(max_steps))
        return result if array.ndim == 2 else jax.tree.map(lambda x: x[0], result)

    def features(self, state: State) -> Float[Array, " features"]:
        """`φ(x)`, of length 1."""
        phases = self.frequencies @ state
        return jnp.concatenate([jnp.cos(phases), jnp.sin(phases)]) / jnp.sqrt(len(phases))

    def _rows(self, patterns: Any) -> Float[Array, "rows dimension"]:
        rows = as_rows("patterns", patterns)
        check_width("patterns", rows, self.frequencies.shape[1])
        return rows.astype(self.total.dtype)

    def _sum(self, rows: Float[Array, "rows dimension"]) -> Float[Array, " features"]:
        """`Σ_i φ(x_i)`, one pattern after another, so that little memory is needed."""
        add = lambda total, row: (total + self.features(row), None)
        return jax.lax.scan(add, jnp.zeros_like(self.total), rows)[0]


@eqx.filter_jit
def _recall(memory: RandomFeatureMemory, start: Array, tolerance: Array, max_steps: Array) -> Retrieval:
    return repeat_update_of_batch(
        jax.vmap(memory.update), start, scale=memory.scale, tolerance=tolerance, max_steps=max_steps
    )
