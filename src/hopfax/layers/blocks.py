"""Encoder and decoder blocks of a Transformer whose attention is a Hopfield layer."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Real

from .._internal.checks import require, require_integer, require_key, require_kind
from ..memory.inputs import as_rows, check_row_mask
from .hopfield import Hopfield

Tokens = Real[Array | np.ndarray, "tokens width"]
TokenMask = Bool[Array | np.ndarray, " tokens"]
PairMask = Bool[Array | np.ndarray, "tokens tokens"]
Encoded = Real[Array | np.ndarray, "encoded encoded_width"]
EncodedMask = Bool[Array | np.ndarray, " encoded"]
Activation = Callable[[Array], Array]


class FeedForwardBlock(eqx.Module):
    """`LayerNorm(x + W_2 ρ(W_1 x + b_1) + b_2)` of each token, with dropout after `ρ` and after `W_2`.

    Args:
        width: of a token.
        hidden: width in between.
        activation: `ρ`.
        dropout: fraction that is dropped in training.
        key: of the linear maps.
    """

    first: eqx.nn.Linear
    second: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    dropout: eqx.nn.Dropout
    activation: Activation = eqx.field(static=True)

    def __init__(
        self, width: int, hidden: int, activation: Activation, dropout: float, *, key: Key[Array, ""]
    ):
        require_integer("FeedForwardBlock.hidden", hidden, 1)
        keys = jr.split(key)
        self.first = eqx.nn.Linear(width, hidden, key=keys[0])
        self.second = eqx.nn.Linear(hidden, width, key=keys[1])
        self.norm, self.dropout = eqx.nn.LayerNorm(width), eqx.nn.Dropout(dropout)
        self.activation = activation

    def __call__(
        self, tokens: Float[Array, "tokens width"], *, key: Key[Array, ""] | None = None
    ) -> Float[Array, "tokens width"]:
        """The new tokens. `key` is for dropout."""
        keys = _split(key, 2)
        hidden = self.dropout(self.activation(jax.vmap(self.first)(tokens)), key=keys[0])
        change = self.dropout(jax.vmap(self.second)(hidden), key=keys[1])
        return jax.vmap(self.norm)(tokens + change)


class EncoderBlock(eqx.Module):
    """`x' = LayerNorm(x + Hopfield(x))`, then `FeedForwardBlock(x')`: the encoder of a Transformer, norms after sums.

    It takes one sequence; batch with `jax.vmap`.

    Args:
        association: a Hopfield layer of tokens with themselves.
        hidden: width of the feed-forward part.
        activation: of the feed-forward part.
        dropout: fraction that is dropped of the output of the association and in the feed-forward part. The
            association has a dropout of its own.
        key: of the feed-forward part.
    Raises: `ValueError` for an association whose output does not have the width of a query.
    Source: Vaswani et al. (2017), arXiv:1706.03762, with the attention of [ramsauer2020].
    """

    association: Hopfield
    norm: eqx.nn.LayerNorm
    feed_forward: FeedForwardBlock
    dropout: eqx.nn.Dropout

    def __init__(
        self,
        association: Hopfield,
        hidden: int,
        *,
        activation: Activation = jax.nn.relu,
        dropout: float = 0.0,
        key: Key[Array, ""],
    ):
        width = _token_width("EncoderBlock.association", association)
        require_key("EncoderBlock", key)
        self.association, self.norm = association, eqx.nn.LayerNorm(width)
        self.dropout = eqx.nn.Dropout(dropout)
        self.feed_forward = FeedForwardBlock(width, hidden, activation, dropout, key=key)

    def __call__(
        self,
        tokens: Tokens,
        *,
        token_mask: TokenMask | None = None,
        association_mask: PairMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "tokens width"]:
        """The new tokens.

        Args:
            token_mask: true for tokens and false for padding, which no other token sees. Outputs there have no meaning.
            association_mask: which tokens each token sees.
            key: for dropout.
        """
        keys = _split(key, 3)
        tokens = _without_padding(tokens, token_mask)
        masks = {"pattern_mask": token_mask, "association_mask": association_mask}
        change = self.dropout(self.association(tokens, **masks, key=keys[0]), key=keys[1])
        return self.feed_forward(jax.vmap(self.norm)(tokens + change), key=keys[2])


class DecoderBlock(eqx.Module):
    """An encoder block with a second association between, of the tokens with the tokens of an encoder.

    It takes one sequence; batch with `jax.vmap`.

    Args:
        association: a Hopfield layer of tokens with themselves.
        cross: a Hopfield layer whose patterns are the tokens of the encoder.
        hidden, activation, dropout, key: as for `EncoderBlock`.
    Raises: `ValueError` for an association whose output does not have the width of a query, or two of different width.
    Source: Vaswani et al. (2017), arXiv:1706.03762, with the attention of [ramsauer2020].
    """

    association: Hopfield
    cross: Hopfield
    norm: eqx.nn.LayerNorm
    cross_norm: eqx.nn.LayerNorm
    feed_forward: FeedForwardBlock
    dropout: eqx.nn.Dropout

    def __init__(
        self,
        association: Hopfield,
        cross: Hopfield,
        hidden: int,
        *,
        activation: Activation = jax.nn.relu,
        dropout: float = 0.0,
        key: Key[Array, ""],
    ):
        width = _token_width("DecoderBlock.association", association)
        require(
            _token_width("DecoderBlock.cross", cross) == width,
            f"`cross` takes queries of width {cross.sizes.queries}, and `association` of {width}; make them equal.",
        )
        require_key("DecoderBlock", key)
        self.association, self.cross = association, cross
        self.norm, self.cross_norm = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)
        self.dropout = eqx.nn.Dropout(dropout)
        self.feed_forward = FeedForwardBlock(width, hidden, activation, dropout, key=key)

    def __call__(
        self,
        tokens: Tokens,
        encoded: Encoded,
        *,
        token_mask: TokenMask | None = None,
        association_mask: PairMask | None = None,
        encoded_mask: EncodedMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "tokens width"]:
        """The new tokens.

        Args:
            encoded: the tokens of the encoder.
            token_mask: true for tokens and false for padding.
            association_mask: which tokens each token sees; `jnp.tril(jnp.ones((n, n), bool))` for those before it.
            encoded_mask: true for tokens of the encoder and false for padding.
            key: for dropout.
        """
        keys = _split(key, 5)
        tokens = _without_padding(tokens, token_mask)
        masks = {"pattern_mask": token_mask, "association_mask": association_mask}
        change = self.dropout(self.association(tokens, **masks, key=keys[0]), key=keys[1])
        tokens = jax.vmap(self.norm)(tokens + change)
        change = self.cross(tokens, encoded, pattern_mask=encoded_mask, key=keys[2])
        tokens = jax.vmap(self.cross_norm)(tokens + self.dropout(change, key=keys[3]))
        return self.feed_forward(tokens, key=keys[4])


def _without_padding(tokens: Tokens, mask: TokenMask | None) -> Float[Array, "tokens width"]:
    """The tokens, zero where `mask` is false."""
    checked = None if mask is None else check_row_mask("token_mask", mask, len(tokens))
    return as_rows("tokens", tokens, checked)


def _split(key: Key[Array, ""] | None, count: int):
    """`count` keys, or as many times None."""
    return (None,) * count if key is None else jr.split(key, count)


def _token_width(label: str, association: Hopfield) -> int:
    """The width of a token. Raises: `ValueError` where outputs cannot be added to queries."""
    require_kind(label, association, Hopfield, "Hopfield(64, key=jax.random.key(0))")
    sizes = association.sizes
    require(
        sizes.outputs == sizes.queries,
        f"`{label.split('.')[1]}` has queries of width {sizes.queries} and outputs of width {sizes.outputs}; a block "
        "adds them, so make them equal.",
    )
    return sizes.queries
