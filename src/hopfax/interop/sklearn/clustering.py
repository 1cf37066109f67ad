"""Clustering by attractors: the patterns of a memory are trained until they recall the data from parts of it."""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Int, Key
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import kmeans_plusplus
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..._internal.checks import require_integer, require_number
from ..._internal.compiled import cache_compiled_code
from ...memory.calibration import calibrate
from ...memory.modern import ModernHopfield
from ...memory.similarities import Euclidean
from .memory import FLOATS

KNOWN = 0.8  # the probability of an element to be known
BATCH = 32
Rows = Float[Array, "rows dimension"]
Patterns = Float[Array, "patterns dimension"]


class HopfieldClustering(ClusterMixin, BaseEstimator):
    """Clusters are the basins of attraction of a modern Hopfield network whose patterns are trained.

    From the elements of a row that a random mask leaves known, the network recalls the whole row by `steps` updates
    `x <- Xᵀ softmax(beta (X x + t))`. Its patterns `X` minimise the squared error, by Adam. They begin as rows that
    k-means++ chooses. A row belongs to the pattern of the largest weight after as many updates from the row.

    Args:
        n_clusters: how many patterns, no more than rows.
        beta: the inverse temperature, positive; "auto" calibrates it with `hopfax.memory.calibrate` for the first
            patterns, so that each is an attractor.
        steps: how many updates.
        learning_rate: of Adam, in standard deviations of the data; it falls to zero by a cosine.
        epochs: passes through the rows.
        random_state: as in scikit-learn.
    Attributes:
        cluster_centers_: the patterns, (n_clusters, n_features).
        labels_: the cluster of each row of `fit`.
        beta_: the inverse temperature.
        n_features_in_, feature_names_in_: as in scikit-learn.
    Raises: `ValueError` for settings out of range, and fewer rows than clusters.
    Source: [saha2023].
    """

    def __init__(
        self,
        n_clusters: Any = 8,
        *,
        beta: Any = "auto",
        steps: Any = 5,
        learning_rate: Any = 0.02,
        epochs: Any = 100,
        random_state: Any = None,
    ):
        self.n_clusters = n_clusters
        self.beta = beta
        self.steps = steps
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.random_state = random_state

    def fit(self, X, y=None) -> "HopfieldClustering":
        """Train the patterns on the rows of `X`."""
        rows = np.asarray(validate_data(self, X, dtype=FLOATS))
        self._check(len(rows))
        cache_compiled_code()
        random = check_random_state(self.random_state)
        patterns = kmeans_plusplus(rows, self.n_clusters, random_state=random)[0]
        self.beta_ = self._beta(patterns)
        scale = float(rows.std()) or 1.0
        key = jr.key(random.randint(np.iinfo(np.int32).max))
        # In units of one standard deviation, in which `beta` is larger by its square.
        settings = self.beta_ * scale**2, self.learning_rate, key
        trained = _trained(patterns / scale, rows / scale, *settings, self.steps, self.epochs)
        self.cluster_centers_ = np.asarray(trained, rows.dtype) * rows.dtype.type(scale)
        self.labels_ = self._labels(rows)
        return self

    def predict(self, X) -> np.ndarray:
        """The cluster of each row."""
        check_is_fitted(self, "cluster_centers_")
        return self._labels(np.asarray(validate_data(self, X, reset=False, dtype=FLOATS)))

    def _labels(self, rows: np.ndarray) -> np.ndarray:
        patterns, beta = jnp.asarray(self.cluster_centers_), jnp.asarray(self.beta_, rows.dtype)
        return np.asarray(_basins(patterns, jnp.asarray(rows), beta, self.steps))

    def _beta(self, patterns: np.ndarray) -> float:
        """Raises: `ValueError` for a `beta` that is neither "auto" nor positive."""
        if not isinstance(self.beta, str):
            require_number("beta", self.beta, lambda x: 0 < x < np.inf, "a positive number")
            return float(self.beta)
        if self.beta != "auto":
            raise ValueError(f'`HopfieldClustering(beta={self.beta!r})` must be "auto" or a positive number.')
        different = len(np.unique(patterns, axis=0)) > 1
        return calibrate(patterns).recall_beta if different else 1.0

    def _check(self, count: int) -> None:
        for name in ("n_clusters", "steps", "epochs"):
            require_integer(name, getattr(self, name), 1)
        require_number("learning_rate", self.learning_rate, lambda x: 0 < x < np.inf, "a positive number")
        if self.n_clusters > count:
            raise ValueError(
                f"`n_clusters={self.n_clusters}` is more than the rows of `X` (n_samples={count}); take fewer."
            )


@ft.partial(jax.jit, static_argnames=("steps", "epochs"))
def _trained(
    patterns: Patterns,
    rows: Rows,
    beta: ArrayLike,
    learning_rate: ArrayLike,
    key: Key[Array, ""],
    steps: int,
    epochs: int,
) -> Patterns:
    """The patterns after `epochs` passes."""
    size = min(BATCH, len(rows))
    batches = len(rows) // size
    optimiser = optax.adam(optax.cosine_decay_schedule(learning_rate, epochs * batches))

    def step(carry, number):
        patterns, state = carry
        epoch, mask = jr.fold_in(key, number // batches), jr.fold_in(key, epochs + number)
        order = lax.dynamic_slice_in_dim(jr.permutation(epoch, len(rows)), number % batches * size, size)
        slope = jax.grad(_error)(patterns, rows[order], beta, mask, steps)
        changes: Any
        changes, state = optimiser.update(slope, state)
        return (patterns + changes, state), None

    patterns = jnp.asarray(patterns, rows.dtype)
    (patterns, _), _ = lax.scan(step, (patterns, optimiser.init(patterns)), jnp.arange(epochs * batches))
    return patterns


def _error(patterns: Patterns, rows: Rows, beta: Array, key: Key[Array, ""], steps: int) -> Float[Array, ""]:
    """The mean squared error of rows recalled from a random part of their elements."""
    network = ModernHopfield(patterns, beta, similarity=Euclidean())
    known = jr.bernoulli(key, KNOWN, rows.shape)
    start = jax.vmap(lambda row, mask: network.weights(row, mask) @ patterns)(rows, known)
    return jnp.mean(jnp.square(_updated(network, start, steps - 1) - rows))


@ft.partial(jax.jit, static_argnames="steps")
def _basins(patterns: Patterns, rows: Rows, beta: Array, steps: int) -> Int[Array, " rows"]:
    network = ModernHopfield(patterns, beta, similarity=Euclidean())
    return jnp.argmax(jax.vmap(network.weights)(_updated(network, rows, steps - 1)), axis=1)


def _updated(network: ModernHopfield, states: Rows, count: int) -> Rows:
    """The states after `count` updates."""
    return lax.scan(lambda x, _: (jax.vmap(network.update)(x), None), states, length=count)[0]
