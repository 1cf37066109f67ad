"""What an accelerated solver reads from the map about its point, and what it tells the loop about it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from .._tree import rms
from ..problem import Trial
from .safeguards import AbstractSafeguard, Energy


def read(aux: PyTree, image: PyTree, point: PyTree, safeguard: AbstractSafeguard) -> Trial:
    """The account of a point: the map's own, or outside `hopfax.relax` one with the residual only."""
    if isinstance(aux, Trial):
        return aux
    if isinstance(safeguard, Energy):
        raise ValueError(
            "`safeguard=Energy()` needs a map that also returns a `Trial` with the energy (`has_aux=True`); "
            "`hopfax.relax` gives it one. Elsewhere use `safeguard=Residual()`."
        )
    bare = _bare(rms(jax.tree.map(jnp.subtract, image, point)))
    return eqx.tree_at(lambda t: t.scale, bare, rms(image))


def nothing_accepted(aux: PyTree, like: Array) -> Trial:
    """The account to start from, in the types of the map's own: anything is better."""
    struct = aux if isinstance(aux, Trial) else jax.eval_shape(lambda: _bare(rms(like)))
    far, none = (lambda x: jnp.full((), jnp.inf, x.dtype)), (lambda x: jnp.zeros((), x.dtype))
    return Trial(far(struct.residual), none(struct.scale), far(struct.energy), none(struct.energy_size))


def _bare(residual: Array) -> Trial:
    return Trial(residual, residual, jnp.zeros_like(residual), jnp.zeros_like(residual))


def judged(aux: PyTree, rejected: Bool[Array, ""], restarted: Bool[Array, ""]) -> PyTree:
    """`aux` with the verdict on the point, if it is an account of it."""
    if not isinstance(aux, Trial):
        return aux
    return eqx.tree_at(lambda t: (t.accepted, t.restarted), aux, (~rejected, restarted))
