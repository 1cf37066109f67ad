"""A memory: patterns are stored, recalled from parts or from noise, saved, loaded and spread over devices."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Real, ScalarLike

from .._internal.checks import (
    check_patterns,
    require,
    require_integer,
    require_kind,
    require_matrix,
)
from ..lagrangians import Softmax
from .calibration import calibrate, margin_beta
from .files import read_memory, write_memory
from .inputs import as_array, as_rows, as_values, check_beta, check_limits, check_width, to_floating
from .metric import Mahalanobis
from .modern import ModernHopfield
from .phase.effective import mean_field_beta
from .phase.transitions import thresholds
from .recall import Recall, check_queries, recall_batch
from .sharded import Separation, ShardedPatterns
from .similarities import AbstractSimilarity, Euclidean
from .streaming import stream_of

_SAMPLE = 4096  # patterns from which the mean distance is estimated


class AveragingWarning(UserWarning):
    """`beta` is so low that recall is expected to return the average of all patterns."""


class Memory(eqx.Module):
    """Any number of patterns, recalled by the update of a modern Hopfield network.

    Make one with `Memory.store` or `Memory.load`. Each update is one pass over the patterns in chunks, so little
    memory is needed beyond the patterns themselves. `network()` is the same memory as a `ModernHopfield`. The
    weights are a softmax, or by `separation=` sparse: `Sparsemax`, `Entmax`, `Normmax`, `KSubsets` take two passes
    per update where few patterns have weight.
    """

    stored: ShardedPatterns
    beta: Float[Array, ""]
    values: Float[Array, "values outputs"] | None = None
    metric: Mahalanobis | None = None

    @classmethod
    def store(
        cls,
        patterns: Real[Array | np.ndarray, "patterns dimension"],
        beta: ScalarLike | Literal["auto"] = "auto",
        *,
        values: Real[Array | np.ndarray, "values outputs"] | None = None,
        similarity: AbstractSimilarity = Euclidean(),
        metric: Mahalanobis | None = None,
        separation: Callable[[ArrayLike], Separation] = Softmax,
        chunk: int = 4096,
    ) -> "Memory":
        """A memory of patterns in rows.

        Args:
            beta: inverse temperature; "auto" takes `memory.calibrate(patterns).recall_beta`, at which 99 % of the
                patterns are fixed points and no minimum averages over all of them, found on a sample of at most
                2,000 patterns. For sparse separations it is the lowest value at which 99 % of the patterns, as
                queries, get all of the weight, and so are recalled exactly.
            values: one row for each pattern, which is then a key: recall returns their mixture too.
            similarity: `Euclidean()`, with which patterns of small norm are recalled as well as others, or `Dot()`.
            metric: `Mahalanobis()` for a memory that completes what it has never seen. Recall then returns the mean of
                the unknown elements given the known ones. Neighbours are Euclidean whatever `similarity` is, and "auto"
                takes the `beta` of least error where patterns are left out and completed from half of their elements.
                The separation is softmax.
            separation: a function from `beta` to the object that turns scores into weights: `Softmax`, `Sparsemax`,
                `Epanechnikov`, `functools.partial(Entmax, 1.5)`, `functools.partial(Normmax, 2.0)`,
                `functools.partial(KSubsets, 2)`.
            chunk: how many rows are compared at once.
        Raises: `ValueError` for patterns that are not finite, fewer than two of them, values that are not
            finite or not one row for each, `beta` not positive, or a separation whose weights do not sum to one.
        Warns: `AveragingWarning` where a given `beta` is below the spinodal of equidistant patterns with the
            same number and mean distance, so that recall is likely to average over all of them.
        """
        array = as_array("patterns", patterns)
        check_patterns(array)
        similarity = _check_options(similarity, metric, separation, chunk)
        unit_separation = _separation(separation, similarity, len(array))
        array = to_floating(array)
        stored = ShardedPatterns(array, similarity, len(array), chunk, separation=unit_separation)
        outputs = None if values is None else as_values(values, len(array)).astype(array.dtype)
        if isinstance(beta, str):
            require(beta == "auto", f'`beta` must be "auto" or a positive number, got {beta!r}.')
            beta = _automatic_beta(stored, separation is Softmax, metric)
        else:
            check_beta(beta)
            if metric is None and separation is Softmax:
                _warn_if_averaging(array, beta)
        return cls(stored, jnp.asarray(beta, array.dtype), outputs, metric)

    @classmethod
    def store_sharded(
        cls,
        patterns: Real[np.ndarray, "patterns dimension"],
        beta: ScalarLike,
        *,
        similarity: AbstractSimilarity = Euclidean(),
        metric: Mahalanobis | None = None,
        separation: Callable[[ArrayLike], Separation] = Softmax,
        chunk: int = 4096,
        devices: Sequence[Any] | None = None,
    ) -> "Memory":
        """A memory of patterns that fit no single device or process: each process reads only its own rows.

        Args:
            patterns: on the host, best mapped from a file: `numpy.load(path, mmap_mode="r")`. Each of several
                processes (`hopfax.parallel.processes.join`) gives the same patterns, and later the same queries.
            beta: inverse temperature; `memory.calibrate` of a sample gives one.
            metric: as for `store`.
            devices: by default all devices of all processes.
        Raises: `ValueError` for patterns that are not finite, fewer than two of them, or `beta` not positive.
        """
        require_matrix("patterns", patterns)
        require(len(patterns) >= 2, f"`patterns` must hold two rows or more, got {len(patterns)}.")
        similarity = _check_options(similarity, metric, separation, chunk)
        check_beta(beta)
        unit_separation = _separation(separation, similarity, len(patterns))
        stored = ShardedPatterns.from_host(patterns, similarity, _devices(devices), chunk, unit_separation)
        return cls(stored, jnp.asarray(beta, stored.patterns.dtype), metric=metric)

    @property
    def patterns(self) -> Float[Array, "patterns dimension"]:
        """The patterns, in rows."""
        number = int(self.stored.number)
        return self.stored.patterns if number == len(self.stored.patterns) else self.stored.patterns[:number]

    def require_distances(self) -> None:
        """Raises: `ValueError` unless the weights are a softmax of squared Euclidean distances."""
        require(
            self.metric is None,
            "`memory` must have no `metric`, since its weights are not those of distances; store it without one.",
        )
        require_kind("memory.stored.similarity", self.stored.similarity, Euclidean, "Euclidean()")
        require_kind("memory.stored.separation", self.stored.separation, Softmax, "Softmax(1.0)")

    def network(self) -> ModernHopfield:
        """The same memory as a `ModernHopfield`, with energy, Jacobian and HAM.

        Raises: `ValueError` for a memory with a metric, which is no such network, and for `Epanechnikov`, which is no
            Lagrangian of a memory layer.
        """
        require(
            self.metric is None,
            "`network()` needs a memory without a `metric`; store the patterns without one.",
        )
        unit_separation = self.stored.separation
        return ModernHopfield(
            self.patterns,
            self.beta,
            separation=lambda beta: eqx.tree_at(lambda lagrangian: lagrangian.beta, unit_separation, beta),
            similarity=self.stored.similarity,
            values=None if self.values is None else self.values[: len(self.patterns)],
        )

    def recall(
        self,
        queries: Real[Array | np.ndarray, "*batch dimension"],
        known: Bool[Array | np.ndarray, "..."] | None = None,
        *,
        tolerance: float = 1e-5,
        max_steps: int = 100,
        candidates: int = 16,
    ) -> Recall:
        """Repeats the update from each query until it converges.

        With a metric, one step computes the conditional mean of the unknown elements; `tolerance` and `max_steps` play
        no part.

        Args:
            queries: one query, or a batch in rows.
            known: which elements of the queries are known, of their shape or one mask for all: true for known
                elements, which keep their values. What the others hold, NaN or any number, has no influence: they
                start from one update that compares the known elements alone. Without a mask, every element is
                known at the start and free to change. `known=~np.isnan(queries)` marks NaN as unknown.
            tolerance: a state has converged when an update moves it by at most this fraction of the largest norm
                of a pattern.
            max_steps: the largest number of updates.
            candidates: how many patterns a subset may have; wider averages count as the average of all.
        Raises: `ValueError` for queries of another width, known elements that are not finite, NaN without `known`,
            a mask of another shape, or no mask for a memory with a metric.
        """
        array, mask = check_queries(queries, known, self.stored.patterns.shape[1])
        require(
            self.metric is None or mask is not None,
            "`known` is needed by a memory with a `metric`, which completes; give `known=~np.isnan(queries)`.",
        )
        require_integer("candidates", candidates, 1)
        check_limits(tolerance, max_steps)
        result = recall_batch(
            self.stored,
            self.beta,
            self.values,
            self.metric,
            jnp.atleast_2d(to_floating(array).astype(self.stored.patterns.dtype)),
            None if mask is None else jnp.atleast_2d(mask),
            limits=(jnp.asarray(tolerance), jnp.asarray(max_steps)),
            candidates=candidates,
        )
        result = result if array.ndim == 2 else jax.tree.map(lambda x: x[0], result)
        return jax.tree.map(np.asarray, result) if isinstance(queries, np.ndarray) else result

    def add(
        self,
        patterns: Real[Array | np.ndarray, "patterns dimension"],
        values: Real[Array | np.ndarray, "values outputs"] | None = None,
    ) -> "Memory":
        """A memory with more patterns, numbered after those it has. `beta` stays the same.

        The number of rows doubles when they are full; rows in reserve take no part in recall. So recall is compiled
        again once for each doubling and not for each size.

        Args:
            patterns: in rows, of the same width, one or more.
            values: one row for each, where the memory has values.
        Raises: `ValueError` for patterns or values that do not fit, and for a memory spread over devices.
        """
        self._require_one_device("add")
        rows = as_rows("patterns", patterns).astype(self.stored.patterns.dtype)
        check_width("patterns", rows, self.stored.patterns.shape[1])
        require(
            (values is None) == (self.values is None),
            "`values` must be given where the memory has values, and only there.",
        )
        number = int(self.stored.number)
        stored = self.stored.with_rows(_appended(self.stored.patterns, number, rows), number + len(rows))
        if self.values is None:
            return dataclasses.replace(self, stored=stored)
        outputs = as_values(values, len(rows)).astype(self.values.dtype)
        check_width("values", outputs, self.values.shape[1])
        return dataclasses.replace(self, stored=stored, values=_appended(self.values, number, outputs))

    def remove(self, indices: Int[Array | np.ndarray, " indices"] | Sequence[int] | int) -> "Memory":
        """A memory without the patterns of these numbers; later ones move down, as by `numpy.delete`.

        The rows stay in reserve for `add`, so recall is compiled once for memories that shrink, not for each size.

        Raises: `ValueError` for numbers of no pattern, fewer than two patterns left, and for a memory spread over
            devices.
        """
        self._require_one_device("remove")
        number, removed = int(self.stored.number), np.atleast_1d(np.asarray(indices))
        integers = removed.ndim == 1 and np.issubdtype(removed.dtype, np.integer)
        require(
            integers and np.all((removed >= 0) & (removed < number)),
            f"`indices={indices!r:.80}` must be whole numbers from 0 to {number - 1}.",
        )
        order = np.delete(np.arange(number), removed)
        require(len(order) >= 2, f"`indices` leaves {len(order)} patterns; a memory has two or more.")
        stream_of(self.stored.separation).check(self.stored.similarity, len(order))
        stored = self.stored.with_rows(_selected(self.stored.patterns, order), len(order))
        values = None if self.values is None else _selected(self.values, order)
        return dataclasses.replace(self, stored=stored, values=values)

    def _require_one_device(self, name: str) -> None:
        require(
            self.stored.mesh is None,
            f"`{name}` is for a memory on one device; change it first, then `shard` it.",
        )

    def shard(self, devices: Sequence[Any] | None = None) -> "Memory":
        """The same memory with its patterns spread evenly over `devices`, by default all there are."""
        return dataclasses.replace(self, stored=self.stored.shard(_devices(devices)))

    def save(self, path: str | PathLike) -> None:
        """Writes a safetensors file, whole or not at all. Raises: `OSError` where it cannot be written."""
        patterns, stored = np.asarray(self.patterns), self.stored
        values = None if self.values is None else np.asarray(self.values)[: len(patterns)]
        write_memory(
            path, patterns, float(self.beta), stored.similarity, values, stored.separation, self.metric
        )

    @classmethod
    def load(cls, path: str | PathLike, *, chunk: int = 4096) -> "Memory":
        """Reads a file that `save` wrote. Raises: `ValueError` for any other file; `FileNotFoundError`."""
        require_integer("chunk", chunk, 1)
        patterns, beta, similarity, values, separation, metric = read_memory(path)
        stored = ShardedPatterns(
            jnp.asarray(patterns), similarity, len(patterns), chunk, separation=separation
        )
        outputs = None if values is None else jnp.asarray(values)
        return cls(stored, jnp.asarray(beta, stored.patterns.dtype), outputs, metric)


def _check_options(
    similarity: AbstractSimilarity, metric: Mahalanobis | None, separation: Any, chunk: int
) -> AbstractSimilarity:
    """The similarity by which patterns are compared."""
    require_kind("similarity", similarity, AbstractSimilarity, "Dot()")
    require_integer("chunk", chunk, 1)
    if metric is None:
        return similarity
    require_kind("metric", metric, Mahalanobis, "Mahalanobis()")
    require(separation is Softmax, f"`separation={separation}` must be `Softmax` where a `metric` is given.")
    return Euclidean()


def _automatic_beta(stored: ShardedPatterns, softmax: bool, metric: Mahalanobis | None) -> ScalarLike:
    if metric is not None:
        return metric.calibrate(stored)
    if softmax:
        return calibrate(stored.patterns, similarity=stored.similarity).recall_beta
    return margin_beta(stored)


def _separation(separation: Any, similarity: AbstractSimilarity, count: int) -> Separation:
    """The separation at `beta = 1`. Raises: `ValueError` for one that a memory cannot have, or that does not fit it."""
    if isinstance(separation, Separation) or not callable(separation):
        raise ValueError(f"`separation={separation}` is an object; give its class, such as `Softmax`.")
    unit_separation: Any = separation(1.0)
    stream_of(unit_separation).check(similarity, count)
    return unit_separation


def _devices(devices: Sequence[Any] | None) -> list[Any]:
    """`devices`, by default all there are. Raises: `ValueError` for an empty list, or what is no device."""
    chosen = jax.devices() if devices is None else list(devices)
    if not chosen or not all(isinstance(device, jax.Device) for device in chosen):
        raise ValueError(f"`devices={devices!r}` must be a list of devices, such as `jax.devices()`.")
    return chosen


def _appended(rows: Array, number: int, new: Array) -> Array:
    """`new` after the first `number` of `rows`, whose number is doubled until all fit."""
    size = len(rows)
    while size < number + len(new):
        size *= 2
    grown = jnp.pad(rows, ((0, size - len(rows)), (0, 0)))
    return jax.lax.dynamic_update_slice_in_dim(grown, new, number, 0)


def _selected(rows: Array, order: np.ndarray) -> Array:
    """The rows of these numbers, followed by zeros, in the shape of `rows`."""
    index = np.zeros(len(rows), int)
    index[: len(order)] = order
    return jnp.where((np.arange(len(rows)) < len(order))[:, None], rows[index], 0)


def _warn_if_averaging(patterns: Array, beta: ScalarLike) -> None:
    if isinstance(patterns, Tracer) or isinstance(beta, Tracer):
        return
    count, stride = patterns.shape[0], -(-patterns.shape[0] // _SAMPLE)
    beta, spinodal = float(np.asarray(beta)), thresholds(count).spinodal
    effective = float(mean_field_beta(patterns[::stride], beta))
    if effective < spinodal:
        warnings.warn(
            f"beta = {beta:.4g} is an effective {effective:.3g} for these patterns, below the {spinodal:.3g} "
            f"at which {count} equidistant patterns become minima: recall is likely to average over all of "
            f'them. Try beta = {beta * spinodal / max(effective, 1e-300):.4g}, or beta="auto".',
            AveragingWarning,
            stacklevel=3,
        )
