"""A metric for completion: a Gaussian around every neighbour of a query, conditioned on the known elements."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Bool, Float, Int

from .._internal.checks import require_integer, require_number
from .sharded import Beta, ShardedPatterns, States
from .streaming import most_similar
from .streams import TopK

BETAS = tuple(2.0**i for i in range(-10, 5))  # candidates of `Mahalanobis.calibrate`
PROBES = 128  # patterns that it leaves out, one at a time

Element = Float[Array, " dimension"]
Rows = Float[Array, "rows dimension"]
Known = Bool[Array, "batch dimension"]
Outputs = Float[Array, "batch outputs"] | None


class Mahalanobis(eqx.Module):
    """Mahalanobis distance under the covariance of a query's neighbours, and linear regression on them.

    The neighbours are the patterns that are nearest in the known elements `K` by Euclidean distance. They are the
    centres `x_i` of Gaussians of covariance `C / beta`, where `C = S + ridge (tr S / d) I` and `S` is the covariance of
    the neighbours. The retrieval weights and the mean of the unknown elements `U` in this mixture are

        w_i ∝ exp(-beta/2 (x_K - x_iK)ᵀ C_KK⁻¹ (x_K - x_iK)),   m = Σ_i w_i x_i,
        E[x_U | x_K] = m_U + C_UK C_KK⁻¹ (x_K - m_K).

    At low `beta` this is local linear regression: all neighbours have the same weight. At high `beta` it is the nearest
    pattern with a linear correction. With as many neighbours as patterns and a low `beta`, it is the linear Gaussian.

    Args:
        neighbours: how many; all patterns if there are fewer. Of equally near patterns, the first ones are taken.
        ridge: relative to the mean variance of an element, positive.
    Raises: `ValueError` for a number out of range.
    Source: Nadaraya (1964) and Watson (1964) for the regression of a density estimate, Cleveland (1979) for local
        regression; the combination is derived in this project.
    """

    neighbours: int = eqx.field(static=True, default=1024)
    ridge: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        require_integer("Mahalanobis.neighbours", self.neighbours, 2)
        require_number("Mahalanobis.ridge", self.ridge, lambda x: 0 < x < math.inf, "positive; try 0.1")

    def complete(
        self,
        stored: ShardedPatterns,
        queries: States,
        known: Known,
        beta: Beta,
        values: Float[Array, "values outputs"] | None,
        candidates: int,
    ) -> tuple[States, TopK, Outputs]:
        """The conditional mean of each query, the `candidates` patterns of largest weight, and the mixed values.

        A query without known elements becomes the mean of all patterns.
        """
        queries = jnp.where(known, queries, 0)

        def example(inputs):
            query, known, index = inputs
            rows = stored.patterns[index]
            included = index >= 0
            conditional = self._conditional(rows, included, known)
            scores = jnp.where(included, -beta / 2 * conditional.squared_distances(query, rows), -jnp.inf)
            weights = jax.nn.softmax(scores)
            state = jnp.where(jnp.any(known), conditional.mean(query, weights @ rows), stored.mean())
            best, place = lax.top_k(scores, min(candidates, len(scores)))
            top = best, index[place], weights[place]
            return state, top, None if values is None else weights @ values[index]

        _, nearest = most_similar(stored, queries, self.neighbours, known)
        # Not in batches: on CPUs, JAX 0.10 may wait for ever in LAPACK calls of batches.
        state, top, value = lax.map(example, (queries, known, nearest))
        return state, TopK(*top), value

    def calibrate(self, stored: ShardedPatterns) -> Float[Array, ""]:
        """The `beta` of least error where patterns are left out and completed from a random half of their elements.

        It is searched among `BETAS`, with at most `PROBES` patterns. The error is squared, summed over the elements.
        """
        number = int(stored.number)
        probes = jnp.arange(0, number, -(-number // PROBES))
        errors = _errors_left_out(self, stored, probes, jr.key(0))
        return jnp.asarray(BETAS, stored.patterns.dtype)[jnp.argmin(errors)]

    def _conditional(
        self, rows: Rows, included: Bool[Array, " rows"], known: Bool[Array, " dimension"]
    ) -> "_Conditional":
        """The Gaussian with the covariance of the `included` rows."""
        share = (included / jnp.sum(included)).astype(rows.dtype)
        centred = rows - (share @ rows)[None, :]
        covariance = (centred * share[:, None]).T @ centred
        size = len(covariance)
        variance = jnp.trace(covariance) / size
        variance = jnp.where(variance > 0, variance, 1)  # where all neighbours are equal
        identity = jnp.eye(size, dtype=rows.dtype)
        return _Conditional.of(covariance + self.ridge * variance * identity, known)


class _Conditional(eqx.Module):
    """A Gaussian given the known elements of a query; `factor` is the Cholesky factor of `C_KK`.

    In `C_KK`, rows and columns of unknown elements are those of the identity, so that all masks have one shape.
    """

    known: Element
    covariance: Float[Array, "dimension dimension"]
    factor: Float[Array, "dimension dimension"]

    @staticmethod
    def of(
        covariance: Float[Array, "dimension dimension"], known: Bool[Array, " dimension"]
    ) -> "_Conditional":
        mask = known.astype(covariance.dtype)
        masked = covariance * mask[:, None] * mask[None, :] + jnp.diag(1 - mask)
        return _Conditional(mask, covariance, jnp.linalg.cholesky(masked))

    def squared_distances(self, query: Element, rows: Rows) -> Float[Array, " rows"]:
        """`(x_K - x_iK)ᵀ C_KK⁻¹ (x_K - x_iK)`."""
        differences = (query[None, :] - rows) * self.known[None, :]
        return jnp.sum(jnp.square(solve_triangular(self.factor, differences.T, lower=True)), axis=0)

    def mean(self, query: Element, centre: Element) -> Element:
        """The known elements, and `m_U + C_UK C_KK⁻¹ (x_K - m_K)` with the centre `m`."""
        residual = cho_solve((self.factor, True), (query - centre) * self.known)
        return jnp.where(self.known > 0, query, centre + self.covariance @ residual)


@eqx.filter_jit
def _errors_left_out(
    metric: Mahalanobis, stored: ShardedPatterns, index: Int[Array, " probes"], key: Array
) -> Float[Array, " betas"]:
    """The error at each of `BETAS`, summed over the patterns of `index`."""
    patterns = stored.patterns[index]
    known = jr.bernoulli(key, 0.5, patterns.shape)
    # The pattern itself is one of the nearest.
    _, nearest = most_similar(stored, patterns, metric.neighbours + 1, known)

    def example(inputs):
        query, known, own, nearest = inputs
        rows, others = stored.patterns[nearest], (nearest != own) & (nearest >= 0)
        conditional = metric._conditional(rows, others, known)
        distances = jnp.where(others, conditional.squared_distances(query, rows), jnp.inf)

        def error(beta):
            centre = jax.nn.softmax(-beta / 2 * distances) @ rows
            return jnp.sum(jnp.square(conditional.mean(query, centre) - query))

        return lax.map(error, jnp.asarray(BETAS, query.dtype))

    return jnp.sum(lax.map(example, (patterns, known, index, nearest)), axis=0)
