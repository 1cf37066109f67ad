"""Warm starts: store the equilibrium of each example and start from it in the next epoch."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool

from ..networks.network import AbstractNetwork, States
from ..solvers.equilibrium import Equilibrium


class WarmStarts(eqx.Module):
    """The last equilibria of a set of examples, one row of `states` for each.

    Between two epochs the weights change little, and so do the equilibria. The start decides which of several
    equilibria is reached, so results depend on the history of training.

        cache = WarmStarts.cold(model, ["hidden", "output"], examples=60000)
        values, equilibrium = hopfax.objective(model, clamp, cost, target, start=cache.start(index))
        cache = cache.updated(index, equilibrium)

    Examples that were not seen yet start at zero, as `relax` does without a start. Only the unknowns of the update need
    to be stored: with `EvenOdd()` on a chain, every second free layer counted from the output.
    """

    states: States
    known: Bool[Array, " examples"]

    @staticmethod
    def cold(model: AbstractNetwork, layers: Sequence[str], examples: int, dtype=jnp.float32) -> "WarmStarts":
        """An empty cache for `examples` examples; it holds `examples * neurons` numbers for each of `layers`."""
        for name in layers:
            if name not in model.layers:
                raise ValueError(
                    f"`layers` names an unknown layer {name!r}; the layers are {list(model.order)}."
                )
        if not layers or examples < 1:
            raise ValueError(
                f"`WarmStarts.cold(layers={list(layers)}, examples={examples})` must name a layer and have at least "
                "one example."
            )
        states = {name: jnp.zeros((examples, *model.layers[name].shape), dtype) for name in layers}
        return WarmStarts(states, jnp.zeros(examples, bool))

    def start(self, index: ArrayLike) -> States:
        """The states from which the examples `index` start, for the argument `start`."""
        index = self._checked(index)
        return {name: rows[index] for name, rows in self.states.items()}

    def updated(self, index: ArrayLike, equilibrium: Equilibrium) -> "WarmStarts":
        """The cache with the equilibria of the examples `index`; examples that did not converge will start cold.

        No example may be in `index` twice.
        """
        return self.stored(index, equilibrium.state, equilibrium.converged)

    def stored(self, index: ArrayLike, states: States, good: Bool[Array, " batch"]) -> "WarmStarts":
        """The cache with rows of `states` for the examples `index` where `good`, and zeros for the others.

        A second cache of the same layers can store the solutions of the backward solve. They are the argument
        `adjoint_start` of `hopfax.objective.cost_gradient`, and its result has the next ones:
        `adjoints.stored(index, result.adjoint.solution, result.adjoint.flagged == 0)`.
        """
        index = self._checked(index)
        place = lambda rows, new: rows.at[index].set(jnp.where(_column(good, new), new, 0).astype(rows.dtype))
        new = jax.lax.stop_gradient({name: states[name] for name in self.states})
        return WarmStarts(jax.tree.map(place, self.states, new), self.known.at[index].set(good))

    def _checked(self, index: ArrayLike) -> Array:
        """Raises: `ValueError` for an index that JAX would clamp silently, where its value is known."""
        index = jnp.asarray(index)
        if index.ndim != 1 or not jnp.issubdtype(index.dtype, jnp.integer):
            raise ValueError(
                f"`index` must be a vector of whole numbers, got shape {index.shape}, {index.dtype}."
            )
        if not isinstance(index, Tracer) and index.size and not _within(index, len(self.known)):
            raise ValueError(
                f"`index` must lie in [0, {len(self.known)}); this cache has {len(self.known)} examples."
            )
        return index


def _column(good: Bool[Array, " batch"], rows: Array) -> Array:
    return good.reshape(good.shape + (1,) * (rows.ndim - 1))


def _within(index: Array, examples: int) -> bool:
    return bool((index >= 0).all() & (index < examples).all())
