"""Attention among the tokens of one layer, as an energy."""

import math
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Inexact, Scalar

from ..._internal.checks import as_floating, require_number
from .base import AbstractSynapse, Constant, Shape


class Attention(AbstractSynapse):
    """`E = -(1/β) Σ_heads Σ_t log Σ_u exp(β k_u · q_t)`: each token of a layer attends to the others.

    Queries and keys are linear in the activations of the tokens, `q_t = W_Q (g_t + p_t)` and `k_u = W_K (g_u + p_u)`.
    There are no values: the drive, `-∂E/∂g`, has the attention of a transformer in which the keys are the values, and
    a second term by which a token is driven towards the queries that attend to it.

    Args:
        layer: the name of a layer of shape (tokens, dim).
        query: `W_Q`, of shape (heads, dim, width).
        key: `W_K`, of the same shape.
        positions: `p`, of shape (tokens, dim); None for none.
        beta: `β`, positive; `1/√width` if None. A float is fixed, an array is trained.
        attends_to_itself: whether the sum over `u` includes `u = t`.
    Raises: `ValueError` for arrays that do not fit one another, or another `beta`.
    Source: [hoover2023], eq. 3 and 4; positions are added here.
    """

    layer: str = eqx.field(static=True)
    query: Float[Array, "heads dim width"]
    key: Float[Array, "heads dim width"]
    positions: Float[Array, "tokens dim"] | None
    beta: ArrayLike | None
    attends_to_itself: bool = eqx.field(static=True)
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = False

    def __init__(
        self,
        layer: str,
        query: ArrayLike,
        key: ArrayLike,
        positions: ArrayLike | None = None,
        beta: ArrayLike | None = None,
        attends_to_itself: bool = False,
    ):
        self.layer, self.beta, self.attends_to_itself = layer, beta, attends_to_itself
        self.query, self.key = as_floating("query", query), as_floating("key", key)
        self.positions = None if positions is None else as_floating("positions", positions)

    def __check_init__(self):
        if self.query.ndim != 3 or self.query.shape != self.key.shape:
            raise ValueError(
                f"`Attention` has a query of shape {self.query.shape} and a key of shape {self.key.shape}; both must "
                "be (heads, dim, width)."
            )
        if self.beta is not None:
            rule = "one positive, finite number"
            require_number("Attention.beta", self.beta, lambda x: 0 < x < math.inf, rule)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        (g,) = activations
        queries, keys = self._project(g)
        beta, scores = self._beta(g), self._scores(queries, keys)
        peak = _peak(scores)
        total = jnp.sum(jnp.exp(scores - peak), axis=-1)
        return -jnp.sum(peak[..., 0] + jnp.log(total)) / beta

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g,) = activations
        queries, keys = self._project(g)
        weights = self.weights(g)
        to_queries = jnp.einsum("htu,huw,hdw->td", weights, keys, self.query.astype(g.dtype))
        to_keys = jnp.einsum("htu,htw,hdw->ud", weights, queries, self.key.astype(g.dtype))
        return to_queries + to_keys

    def weights(self, activation: Inexact[Array, "tokens dim"]) -> Inexact[Array, "heads tokens tokens"]:
        """The attention of each token, on the second axis, to the tokens on the third; it sums to 1."""
        scores = self._scores(*self._project(activation))
        exponentials = jnp.exp(scores - _peak(scores))
        return exponentials / jnp.sum(exponentials, axis=-1, keepdims=True)

    def affine_in(self, name: str) -> bool:
        return False

    def check(self, shapes: Mapping[str, Shape]) -> None:
        shape, dim = shapes[self.layer], self.query.shape[1]
        if len(shape) != 2 or shape[1] != dim:
            raise ValueError(
                f"`Attention` has a query of shape {self.query.shape}, which needs a layer (tokens, {dim}), but layer "
                f"{self.layer!r} has shape {shape}."
            )
        if shape[0] < 2 and not self.attends_to_itself:
            raise ValueError(
                f"layer {self.layer!r} has one token, which has no other to attend to; give at least two."
            )
        if self.positions is not None and self.positions.shape != shape:
            raise ValueError(
                f"`Attention.positions` has shape {self.positions.shape}, but layer {self.layer!r} has {shape}."
            )

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        return Constant(self(known[self.layer]))

    def _beta(self, g: Array) -> Array:
        width = self.query.shape[-1]
        return jnp.asarray(1 / math.sqrt(width) if self.beta is None else self.beta, jnp.finfo(g.dtype).dtype)

    def _project(self, g: Array) -> tuple[Array, Array]:
        """Queries and keys, of shape (heads, tokens, width)."""
        tokens = g if self.positions is None else g + self.positions.astype(g.dtype)
        project = lambda weight: jnp.einsum("td,hdw->htw", tokens, weight.astype(g.dtype))
        return project(self.query), project(self.key)

    def _scores(self, queries: Array, keys: Array) -> Array:
        """`β k_u · q_t`, of shape (heads, t, u); minus infinity where t does not attend to u."""
        scores = self._beta(queries) * jnp.einsum("htw,huw->htu", queries, keys)
        if self.attends_to_itself:
            return scores
        itself = jnp.broadcast_to(jnp.eye(scores.shape[-1], dtype=bool), scores.shape)
        return jnp.where(itself, -jnp.inf, scores)


def _peak(scores: Array) -> Array:
    """The largest real score of each token. No value depends on it, so its gradient is stopped."""
    return jax.lax.stop_gradient(jnp.max(jnp.real(scores), axis=-1, keepdims=True))
