"""Hopfield layers whose queries are trained (pooling of a set) or whose patterns are (lookup in a table)."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Real

from .._internal.checks import require, require_kind
from ..memory.inputs import as_rows, as_values
from .hopfield import Association, AssociationMask, Hopfield, PatternMask, Patterns, Queries, Values


class HopfieldPooling(eqx.Module):
    """Pools a set of patterns of any size into one vector: trained queries are associated with the patterns.

    Args:
        association: the layer.
        queries: in rows, trained from these values: `jax.random.normal(key, (1, width))`. The outputs of several are
            joined into one vector.
    Raises: `ValueError` for queries that are not finite or of another width.
    Source: [ramsauer2020], section 3, "HopfieldPooling".
    """

    association: Hopfield
    queries: Float[Array, "queries width"]

    def __init__(self, association: Hopfield, queries: Queries):
        require_kind(
            "HopfieldPooling.association", association, Hopfield, "Hopfield(64, key=jax.random.key(0))"
        )
        self.association = association
        self.queries = _trained("queries", queries, association.sizes.queries)

    def __call__(
        self,
        patterns: Patterns,
        values: Values | None = None,
        *,
        pattern_mask: PatternMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, " queries_times_outputs"]:
        """The outputs of all queries in one vector; arguments as for `Hopfield.associate`."""
        return jnp.ravel(self.associate(patterns, values, pattern_mask=pattern_mask, key=key).output)

    def associate(
        self,
        patterns: Patterns,
        values: Values | None = None,
        *,
        pattern_mask: PatternMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Association:
        """The outputs with the weights of the patterns, the energies and the last states."""
        return self.association.associate(self.queries, patterns, values, pattern_mask=pattern_mask, key=key)


class HopfieldLayer(eqx.Module):
    """Looks queries up in a table of trained patterns.

    Args:
        association: the layer.
        patterns: in rows, trained from these values: examples of the data, or `jax.random.normal(key, (32, width))`.
        values: one row for each pattern, trained too; the patterns themselves by default.
    Raises: `ValueError` for rows that are not finite, of another width, or not one for each pattern.
    Source: [ramsauer2020], section 3, "HopfieldLayer".
    """

    association: Hopfield
    patterns: Float[Array, "patterns pattern_width"]
    values: Float[Array, "patterns value_width"] | None

    def __init__(self, association: Hopfield, patterns: Patterns, values: Values | None = None):
        require_kind(
            "HopfieldLayer.association", association, Hopfield, "Hopfield(64, key=jax.random.key(0))"
        )
        sizes = association.sizes
        self.association = association
        self.patterns = _trained("patterns", patterns, sizes.patterns)
        self.values = None
        if values is not None:
            self.values = _trained("values", as_values(values, len(self.patterns)), sizes.values)

    def __call__(
        self,
        queries: Queries,
        *,
        association_mask: AssociationMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "queries outputs"]:
        """One output for each query; arguments as for `Hopfield.associate`."""
        return self.associate(queries, association_mask=association_mask, key=key).output

    def associate(
        self,
        queries: Queries,
        *,
        association_mask: AssociationMask | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Association:
        """The outputs with the weights of the patterns, the energies and the last states."""
        return self.association.associate(
            queries, self.patterns, self.values, association_mask=association_mask, key=key
        )


def _trained(
    label: str, rows: Real[Array | np.ndarray, "rows width"], width: int | None
) -> Float[Array, "rows width"]:
    """`rows` as a matrix. Raises: `ValueError` unless it is finite and of this width."""
    matrix = as_rows(label, rows)
    require(
        matrix.shape[1] == width,
        f"`{label}` has shape {matrix.shape}; the association takes rows of width {width}.",
    )
    return matrix
