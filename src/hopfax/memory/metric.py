"""A metric for completing patterns: the Gaussian kernel of a density estimate, conditioned on the known elements."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Bool, Float, Int, Scalar

from .._internal.checks import require_integer, require_number
from .sharded import Beta, ShardedPatterns, States
from .streaming import TopK, top_k

BETAS = tuple(2.0 ** (i / 2) for i in range(-20, 9))  # candidates of `Kernel.calibrate`, 1/1024 to 16
PROBES = 128  # patterns that `Kernel.calibrate` leaves out, one at a time
TOGETHER = 8  # queries whose shortlists are compared at a time

Element = Float[Array, " dimension"]


class Mahalanobis(eqx.Module):
    """Compare by Mahalanobis distance under the covariance of the differences of near patterns.

    The covariance is `S + ridge (tr S / d) I`, where `S` is the mean of `(x - y)(x - y)ᵀ` over patterns `x` and their
    nearest neighbours `y`. Give it to `Memory.store(patterns, metric=Mahalanobis())`, which then completes queries as
    `Kernel` says.

    Args:
        ridge: relative to the mean variance of an element, positive.
        neighbours: how many of each pattern.
        shortlist: how many patterns are compared with a query, the nearest in the known elements by Euclidean
            distance. With as many as there are patterns, the conditional mean is exact.
        sample: the most patterns whose neighbours are looked for.
    Raises: `ValueError` for a number out of range.
    Source: derived in this project.
    """

    ridge: float = 0.35
    neighbours: int = eqx.field(static=True, default=5)
    shortlist: int = eqx.field(static=True, default=1024)
    sample: int = eqx.field(static=True, default=2000)

    def __check_init__(self):
        require_number("Mahalanobis.ridge", self.ridge, lambda x: 0 < x < math.inf, "positive; try 0.35")
        for name in ("neighbours", "shortlist", "sample"):
            require_integer(f"Mahalanobis.{name}", getattr(self, name), 1)

    def kernel(self, stored: ShardedPatterns) -> "Kernel":
        """The kernel of these patterns."""
        stride = -(-stored.count // self.sample)
        index, neighbours = jnp.arange(0, stored.count, stride), min(self.neighbours, stored.count - 1)
        covariance = _covariance(stored, index, neighbours, jnp.asarray(self.ridge))
        return Kernel(covariance, self.shortlist)


class Kernel(eqx.Module):
    """`p(x) = 1/N Σ_i N(x; x_i, covariance / beta)`: a density with a Gaussian around every pattern.

    With the known elements `K` of a query and the others `U`, and `C` the covariance, the retrieval weights are

        w_i ∝ exp(-beta/2 (x_K - x_iK)ᵀ C_KK⁻¹ (x_K - x_iK)),

    and `E[x_U | x_K] = m_U + C_UK C_KK⁻¹ (x_K - m_K)` with the mixture `m = Σ_i w_i x_i`. For `beta = 0` this is linear
    regression on the mean of all patterns, for large `beta` on the nearest one.

    Args:
        covariance: symmetric and positive definite.
        shortlist: as in `Mahalanobis`.
    Source: Nadaraya (1964) and Watson (1964) for the regression of a density estimate.
    """

    covariance: Float[Array, "dimension dimension"]
    shortlist: int = eqx.field(static=True)

    def complete(
        self,
        stored: ShardedPatterns,
        queries: States,
        known: Bool[Array, "batch dimension"],
        beta: Beta,
        values: Float[Array, "values outputs"] | None,
        candidates: int,
    ) -> tuple[States, TopK, Float[Array, "batch outputs"] | None]:
        """The conditional mean of each query, the `candidates` patterns of largest weight, and the mixed values.

        A query without known elements becomes the mean of all patterns.
        """
        queries = jnp.where(known, queries, 0)
        shortlists = self._shortlists(stored, queries, known, self.shortlist)

        def example(inputs):
            query, known, index = inputs
            conditional = _Conditional.of(self.covariance, known)
            patterns = stored.patterns[index]
            scores = -beta / 2 * conditional.squared_distances(query, patterns)
            weights = jax.nn.softmax(scores)
            state = conditional.mean(query, weights @ patterns)
            value = None if values is None else weights @ values[index]
            best, place = lax.top_k(scores, min(candidates, len(scores)))
            total = jnp.sum(jnp.exp(scores - best[0]))
            return jnp.where(jnp.any(known), state, stored.mean()), TopK(best, index[place], total), value

        return lax.map(example, (queries, known, shortlists), batch_size=TOGETHER)

    def calibrate(self, stored: ShardedPatterns, seed: int = 0) -> Float[Array, ""]:
        """The `beta` of least error where patterns are left out and completed from a random half of their elements.

        It is searched among `BETAS`, with at most `PROBES` patterns; the error is squared, summed over the others.
        """
        stride = -(-stored.count // PROBES)
        errors = _errors_left_out(self, stored, jnp.arange(0, stored.count, stride), jr.key(seed))
        return jnp.asarray(BETAS, stored.patterns.dtype)[jnp.argmin(errors)]

    def _shortlists(
        self, stored: ShardedPatterns, queries: States, known: Bool[Array, "batch dimension"], length: int
    ) -> Int[Array, "batch shortlist"]:
        one = jnp.ones((), queries.dtype)
        return top_k(stored, queries, one, length, known).index


class _Conditional(eqx.Module):
    """The Gaussian of one query given its known elements; rows and columns of the unknown ones are those of `I`."""

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

    def squared_distances(
        self, query: Element, patterns: Float[Array, "patterns dimension"]
    ) -> Float[Array, " patterns"]:
        """`(x_K - x_iK)ᵀ C_KK⁻¹ (x_K - x_iK)`."""
        differences = (query[None, :] - patterns) * self.known[None, :]
        return jnp.sum(jnp.square(solve_triangular(self.factor, differences.T, lower=True)), axis=0)

    def mean(self, query: Element, centre: Element) -> Element:
        """The known elements, and `m_U + C_UK C_KK⁻¹ (x_K - m_K)`."""
        residual = cho_solve((self.factor, True), (query - centre) * self.known)
        return jnp.where(self.known > 0, query, centre + self.covariance @ residual)


@eqx.filter_jit
def _covariance(
    stored: ShardedPatterns, index: Int[Array, " sample"], neighbours: int, ridge: Scalar
) -> Float[Array, "dimension dimension"]:
    patterns = stored.patterns[index]
    # A pattern is its own nearest, at a difference of zero.
    nearest = top_k(stored, patterns, jnp.ones((), patterns.dtype), neighbours + 1).index

    def add(total, column):
        differences = patterns - stored.patterns[column]
        return total + differences.T @ differences, None

    size = patterns.shape[1]
    total, _ = lax.scan(add, jnp.zeros((size, size), patterns.dtype), nearest.T)
    local = total / (len(index) * neighbours)
    variance = jnp.trace(local) / size
    variance = jnp.where(variance > 0, variance, 1)  # where all neighbours are equal
    return local + ridge.astype(local.dtype) * variance * jnp.eye(size, dtype=local.dtype)


@eqx.filter_jit
def _errors_left_out(
    kernel: Kernel, stored: ShardedPatterns, index: Int[Array, " probes"], key: Array
) -> Float[Array, " betas"]:
    patterns = stored.patterns[index]
    known = jr.bernoulli(key, 0.5, patterns.shape)
    length = kernel.shortlist + 1  # the pattern itself is one of them
    shortlists = kernel._shortlists(stored, jnp.where(known, patterns, 0), known, length)

    def example(inputs):
        query, known, own, index = inputs
        conditional, others = _Conditional.of(kernel.covariance, known), stored.patterns[index]
        distances = conditional.squared_distances(query, others)
        distances = jnp.where(index == own, jnp.inf, distances)

        def error(beta):
            mixture = jax.nn.softmax(-beta / 2 * distances) @ others
            return jnp.sum(jnp.square(conditional.mean(query, mixture) - query))

        return lax.map(error, jnp.asarray(BETAS, query.dtype))

    errors = lax.map(example, (patterns, known, index, shortlists), batch_size=TOGETHER)
    return jnp.sum(errors, axis=0)
