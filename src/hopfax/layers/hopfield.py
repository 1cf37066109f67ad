"""The Hopfield layer: queries are associated with stored patterns, in several heads, and values are read."""

import dataclasses
import functools as ft
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Key, Real

from .._internal.checks import check_positive, require, require_integer, require_key, require_kind
from ..lagrangians import AbstractLagrangian, Softmax
from ..memory.calibration import calibrate
from ..memory.inputs import as_array, check_association_mask, check_row_mask, to_floating
from ..memory.modern import ModernHopfield
from ..memory.retrieval import Retrieval
from ..memory.similarities import Dot
from .iterations import AbstractIteration, Repeated

Rows = Float[Array, "rows width"]
Queries = Real[Array | np.ndarray, "queries width"]
Patterns = Real[Array | np.ndarray, "patterns pattern_width"]
Values = Real[Array | np.ndarray, "patterns value_width"]
PatternMask = Bool[Array | np.ndarray, " patterns"]
AssociationMask = Bool[Array | np.ndarray, "queries patterns"]


class _Widths(NamedTuple):
    queries: int
    patterns: int
    values: int
    head: int
    head_values: int
    outputs: int


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The widths of a Hopfield layer; those that are left out follow from the others.

    Args:
        queries: width of a query.
        patterns: width of a stored pattern; that of a query by default.
        values: width of a value before its projection; that of a pattern by default.
        head: width of the space of one head, in which queries and patterns are compared; `queries / heads` by default.
        head_values: width of a projected value of one head; `head` by default.
        outputs: width of the output; that of a query by default.
    Raises: `ValueError` for a width that is no whole number, at least 1.
    """

    queries: int
    patterns: int | None = None
    values: int | None = None
    head: int | None = None
    head_values: int | None = None
    outputs: int | None = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            width = getattr(self, field.name)
            if width is not None or field.name == "queries":
                require_integer(f"Sizes.{field.name}", width, 1)

    def complete(self, heads: int) -> "_Widths":
        """All widths. Raises: `ValueError` where `head` is left out and `queries` is no multiple of `heads`."""
        require(
            self.head is not None or self.queries % heads == 0,
            f"`Sizes(queries={self.queries})` is no multiple of `heads={heads}`; give `Sizes(..., head=...)`.",
        )
        patterns = self.patterns or self.queries
        head = self.head or self.queries // heads
        outputs = self.outputs or self.queries
        return _Widths(
            self.queries, patterns, self.values or patterns, head, self.head_values or head, outputs
        )


class Association(eqx.Module):
    """What a Hopfield layer computes for one set of queries.

    Args:
        output: one row for each query.
        weights: the weights of the patterns with which the values are read, before dropout; zero for padding.
        energy: of the last state of each query, `|x|² / 2 - logsumexp(beta X x) / beta` with softmax.
        retrieval: the last state of each query in each head, with its residual, updates, and whether it converged.
    """

    output: Float[Array, "queries outputs"]
    weights: Float[Array, "heads queries patterns"]
    energy: Float[Array, "heads queries"]
    retrieval: Retrieval


class Hopfield(eqx.Module):
    """A Hopfield layer: `y = W_o [V_1ᵀ p_1; V_2ᵀ p_2; ...]` with the weights `p_h` of head `h` at its last state.

    Each head is a `ModernHopfield` of the projected patterns `X_h`. The state of a query starts at its projection and
    is moved by `x' = X_hᵀ p(x)` as `iteration` says. Without updates, `p = softmax(beta X_h W_q q)` is attention.

    All methods take one set of queries and patterns, such as one bag or one sequence; batch with `jax.vmap`. Sets of
    different size are padded to one size, with a mask: padded patterns take part in nothing, whatever they hold. Their
    weights and gradients are exactly zero.

    The parts are modules of one row each: `query_projection`, `pattern_projection`, `value_projection` (layer norm and
    a linear map), `output_projection`, and `head_norm`, which normalises queries and patterns in the space of a head
    and is `eqx.nn.Identity()`. `eqx.tree_at` replaces any of them, with `eqx.nn.Identity()` to leave it out.

    Args:
        sizes: one width for all, or `Sizes`.
        heads: how many associations are made in parallel.
        beta: inverse temperature, one for all heads or one for each; `1 / sqrt(head width)` by default. A float is
            fixed, an array is trained. `calibrated` measures one.
        separation: from `beta` to the Lagrangian of the memory layer, as for `ModernHopfield`: `Softmax`, `Softmax1`,
            `Sparsemax`, `functools.partial(Entmax, 1.5)`.
        iteration: how the states move before the values are read: `Repeated(n)`, or `Relaxed()` to equilibrium.
        norm: from a width to the normalisation in front of each projection: `eqx.nn.LayerNorm`, affine;
            `functools.partial(eqx.nn.LayerNorm, use_weight=False, use_bias=False)`; `eqx.nn.Identity` for none.
        dropout: fraction of the weights that are dropped in training; `eqx.nn.inference_mode` switches it off.
        key: of the projections.
    Raises: `ValueError` for sizes that do not fit, or a `beta` that is not positive, or not one or one for each head.
    Source: [ramsauer2020], section 3.
    """

    query_projection: Callable[[Array], Array]
    pattern_projection: Callable[[Array], Array]
    value_projection: Callable[[Array], Array]
    output_projection: Callable[[Array], Array]
    head_norm: Callable[[Array], Array]
    beta: ArrayLike
    iteration: AbstractIteration
    dropout: eqx.nn.Dropout
    separation: Callable[[ArrayLike], AbstractLagrangian] = eqx.field(static=True)
    sizes: _Widths = eqx.field(static=True)
    heads: int = eqx.field(static=True)

    def __init__(
        self,
        sizes: int | Sizes,
        *,
        heads: int = 1,
        beta: ArrayLike | None = None,
        separation: Callable[[ArrayLike], AbstractLagrangian] = Softmax,
        iteration: AbstractIteration = Repeated(),
        norm: Callable[..., Callable[..., Array]] = eqx.nn.LayerNorm,
        dropout: float = 0.0,
        key: Key[Array, ""],
    ):
        require_integer("Hopfield.heads", heads, 1)
        require_kind("Hopfield.iteration", iteration, AbstractIteration, "Repeated(3)")
        require_key("Hopfield", key)
        widths = (sizes if isinstance(sizes, Sizes) else Sizes(sizes)).complete(heads)
        keys = iter(jr.split(key, 4))
        project = lambda width, head: eqx.nn.Sequential(
            [norm(width), eqx.nn.Linear(width, heads * head, key=next(keys))]
        )
        self.query_projection = project(widths.queries, widths.head)
        self.pattern_projection = project(widths.patterns, widths.head)
        self.value_projection = project(widths.values, widths.head_values)
        self.output_projection = eqx.nn.Linear(heads * widths.head_values, widths.outputs, key=next(keys))
        self.head_norm = eqx.nn.Identity()
        self.beta = 1 / math.sqrt(widths.head) if beta is None else _check_beta(beta, heads)
        self.iteration, self.separation = iteration, separation
        self.dropout = eqx.nn.Dropout(dropout)
        self.sizes, self.heads = widths, heads

    def __call__(
        self,
        queries: Queries,
        patterns: Patterns | None = None,
        values: Values | None = None,
        *,
        pattern_mask: PatternMask | None = None,
        association_mask: AssociationMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "queries outputs"]:
        """The output of `associate`, which has the same arguments."""
        masks = {"pattern_mask": pattern_mask, "association_mask": association_mask}
        return self.associate(queries, patterns, values, **masks, key=key).output

    def associate(
        self,
        queries: Queries,
        patterns: Patterns | None = None,
        values: Values | None = None,
        *,
        pattern_mask: PatternMask | None = None,
        association_mask: AssociationMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Association:
        """The output with the weights, the energies and the last states.

        Args:
            queries: in rows.
            patterns: in rows; the queries themselves by default (self-association).
            values: one row for each pattern; the patterns by default.
            pattern_mask: true for patterns and false for padding. In self-association the outputs of padded rows are
                those of rows of zeros. A query without any pattern reads zeros.
            association_mask: which patterns each query sees; `jnp.tril(jnp.ones((n, n), bool))` is causal.
            key: for dropout.
        Raises: `ValueError` for other shapes, or masks that are not boolean.
        """
        own = patterns is None
        patterns = queries if patterns is None else patterns
        values = patterns if values is None else values
        patterns = self._rows("patterns", patterns, self.sizes.patterns)
        values = self._rows("values", values, self.sizes.values)
        require(
            len(values) == len(patterns),
            f"`values` has {len(values)} rows for {len(patterns)} patterns; give one for each.",
        )
        if pattern_mask is not None:
            pattern_mask = check_row_mask("pattern_mask", pattern_mask, len(patterns))
            # Before anything is computed from them: the derivative of a norm of NaN is NaN, whatever it is masked by.
            patterns, values = (jnp.where(pattern_mask[:, None], x, 0) for x in (patterns, values))
        queries = patterns if own else self._rows("queries", queries, self.sizes.queries)
        mask = _combined(pattern_mask, association_mask, (len(queries), len(patterns)))
        head_values = self._per_head(jax.vmap(self.value_projection)(values))
        weights, energy, retrieval = self._weights(queries, patterns, mask)
        mixed = jnp.einsum("hqp,hpv->qhv", self.dropout(weights, key=key), head_values)
        output = jax.vmap(self.output_projection)(mixed.reshape(len(queries), -1))
        return Association(output, weights, energy, retrieval)

    def calibrated(self, patterns: Patterns) -> "Hopfield":
        """The same layer with a trained `beta` of each head, at which 99 % of these patterns are fixed points.

        It is `memory.calibrate(X_h, similarity=Dot()).recall_beta` of the projected patterns. Raises: `ValueError` for
        fewer than two patterns, or another width.
        """
        heads = self._in_heads(self.pattern_projection, self._rows("patterns", patterns, self.sizes.patterns))
        betas = [calibrate(np.asarray(rows), similarity=Dot()).recall_beta for rows in heads]
        return eqx.tree_at(lambda layer: layer.beta, self, jnp.asarray(betas, heads.dtype))

    def _weights(self, queries: Array, patterns: Array, mask: Array | None) -> tuple[Array, Array, Retrieval]:
        states = self._in_heads(self.query_projection, queries)
        stored = self._in_heads(self.pattern_projection, patterns)
        beta = jnp.broadcast_to(jnp.asarray(self.beta, states.dtype), (self.heads,))

        def of_head(states, stored, beta):
            memory = ModernHopfield(stored, beta, separation=self.separation)
            axis = 0 if mask is not None and mask.ndim == 2 else None
            return jax.vmap(ft.partial(self._of_query, memory), in_axes=(0, axis))(states, mask)

        return jax.vmap(of_head)(states, stored, beta)

    def _of_query(self, memory: ModernHopfield, state: Array, mask: Array | None):
        # The rows are finite already: zeroing them would copy them for each query.
        memory = eqx.tree_at(lambda m: m.pattern_mask, memory, mask, is_leaf=lambda x: x is None)
        retrieval = self.iteration(memory, state)
        return memory.weights(retrieval.state), memory.energy(retrieval.state), retrieval

    def _in_heads(self, projection: Callable[[Array], Array], rows: Rows) -> Float[Array, "heads rows head"]:
        return jax.vmap(jax.vmap(self.head_norm))(self._per_head(jax.vmap(projection)(rows)))

    def _per_head(self, rows: Rows) -> Float[Array, "heads rows head"]:
        return jnp.moveaxis(rows.reshape(len(rows), self.heads, -1), 1, 0)

    def _rows(self, label: str, values: Any, width: int) -> Rows:
        """`values` as a matrix of floating point. Raises: `ValueError` for another width or number of axes."""
        array = as_array(label, values)
        require(
            array.ndim == 2 and array.shape[1] == width and len(array) > 0,
            f"`{label}` has shape {array.shape}; it must be (rows, {width}), at least one row. Batch with `jax.vmap`.",
        )
        return to_floating(array)


def _combined(rows: Array | None, pairs: Any, shape: tuple[int, int]) -> Array | None:
    """The mask of patterns, for all queries or, with `pairs`, for each."""
    if pairs is None:
        return rows
    pairs = check_association_mask(pairs, shape)
    return pairs if rows is None else pairs & rows[None, :]


def _check_beta(beta: ArrayLike, heads: int) -> ArrayLike:
    check_positive("beta", beta)
    require(
        jnp.shape(beta) in ((), (heads,)),
        f"`beta` has shape {jnp.shape(beta)}; give one number, or ({heads},), one for each head.",
    )
    return beta if isinstance(beta, int | float) else jnp.asarray(beta)
