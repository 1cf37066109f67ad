"""Warm starts: keep each example's equilibrium and start from it the next time the example comes by."""

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

    Between two epochs the weights move little, and so do the equilibria. Opt-in, for the start decides which
    of several equilibria is found: results come to depend on the history of training.

        cache = WarmStarts.cold(model, ["hidden", "output"], examples=60000)
        values, found = hopfax.objective(model, clamp, cost, target, start=cache.start(index))
        cache = cache.updated(index, found)

    Examples not yet seen start at zero, as `relax` does without a start. Only the unknowns of the update need
    be stored: with `EvenOdd()` on a chain, every second free layer counted from the output.
    """

    states: States
    known: Bool[Array, " examples"]

    @staticmethod
    def cold(model: AbstractNetwork, layers: Sequence[str], examples: int, dtype=jnp.float32) -> "WarmStarts":
        """Nothing known yet of `examples` examples; `examples * neurons` numbers for each of `layers`."""
        for name in layers:
            if name not in model.layers:
                raise ValueError(
                    f"`layers` names an unknown layer {name!r}; the layers are {list(model.order)}."
                )
        if not layers or examples < 1:
            raise ValueError(
                f"`WarmStarts.cold(layers={list(layers)}, examples={examples})` must keep something."
            )
        states = {name: jnp.zeros((examples, *model.layers[name].shape), dtype) for name in layers}
        return WarmStarts(states, jnp.zeros(examples, bool))

    def start(self, index: ArrayLike) -> States:
        """Where the examples `index` are to start: pass it as `start`."""
        index = self._checked(index)
        return {name: rows[index] for name, rows in self.states.items()}

    def updated(self, index: ArrayLike, found: Equilibrium) -> "WarmStarts":
        """With the equilibria of the examples `index`; those that did not converge will start cold.

        No example may be twice in `index`.
        """
        return self.stored(index, found.state, found.converged)

    def stored(self, index: ArrayLike, states: States, good: Bool[Array, " batch"]) -> "WarmStarts":
        """With rows of `states` for the examples `index` that are `good`, and zeros for the others.

        `updated` for what is no equilibrium: a second cache of the same layers can keep the adjoint states of the
        backward solve, which starts from `AdjointStats.blank(batch, adjoints.start(index))`:
        `adjoints.stored(index, report.adjoint, report.flagged == 0)`.
        """
        index = self._checked(index)
        place = lambda rows, new: rows.at[index].set(jnp.where(_column(good, new), new, 0).astype(rows.dtype))
        new = jax.lax.stop_gradient({name: states[name] for name in self.states})
        return WarmStarts(jax.tree.map(place, self.states, new), self.known.at[index].set(good))

    def _checked(self, index: ArrayLike) -> Array:
        """Refuse what indexing would clamp in silence, as far as it can be seen before running."""
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
