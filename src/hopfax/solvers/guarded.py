"""What accelerated solvers share: they leap, are judged where they land, and fall back on the plain image."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from .._internal.tree import rms
from ..updates.problem import StepInfo
from . import guarded as trials
from .safeguards import AbstractSafeguard, Energy


class AbstractGuarded(optx.AbstractFixedPointSolver):
    """Evaluates the map once a step, and asks its safeguard about points that are no plain images.

    A new acceleration gives `init` and `advance`. Its state has, beside what is its own, the `accepted` account of the
    last accepted `point`, that point's plain `image`, and whether the coming point is `extrapolated`.
    """

    safeguard: eqx.AbstractVar[AbstractSafeguard]

    @property
    def watches_energy(self) -> bool:
        return self.safeguard.watches_energy

    @abc.abstractmethod
    def advance(
        self,
        point: Float[Array, " n"],
        image: Float[Array, " n"],
        trial: StepInfo,
        rejected: Bool[Array, ""],
        state: Any,
    ) -> tuple[Float[Array, " n"], Any, Bool[Array, ""]]:
        """The next point and state, and whether the memory was emptied for another reason than a rejection.

        Where `point` is rejected, the next is the plain image of the last accepted one, `state.image`.
        """

    def step(self, fn, y, args, options, state, tags):
        point, unravel = ravel_pytree(y)
        tree_image, aux = fn(y, args)
        image, _ = ravel_pytree(tree_image)
        trial = trials.read(aux, tree_image, y, self.safeguard)
        failed = self.safeguard.worse(trial, state.accepted) | ~jnp.isfinite(trial.residual)
        rejected = state.extrapolated & failed
        new, state, restarted = self.advance(point, image, trial, rejected, state)
        return unravel(new), state, trials.judged(aux, rejected, restarted)

    def terminate(self, fn, y, args, options, state, tags):
        small = self.atol + self.rtol * state.accepted.scale
        return state.accepted.residual <= small, optx.RESULTS.successful

    def postprocess(self, fn, y, aux, args, options, state, tags, result):
        return ravel_pytree(y)[1](state.point), aux, {}


def read(aux: PyTree, image: PyTree, point: PyTree, safeguard: AbstractSafeguard) -> StepInfo:
    """The account of a point: the map's own, or outside `hopfax.relax` one with the residual only."""
    if isinstance(aux, StepInfo):
        return aux
    if isinstance(safeguard, Energy):
        raise ValueError(
            "`safeguard=Energy()` needs a map that also returns a `StepInfo` with the energy (`has_aux=True`); "
            "`hopfax.relax` gives it one. Elsewhere use `safeguard=Residual()`."
        )
    bare = _bare(rms(jax.tree.map(jnp.subtract, image, point)))
    return eqx.tree_at(lambda t: t.scale, bare, rms(image))


def nothing_accepted(aux: PyTree, like: Array) -> StepInfo:
    """The account to start from, in the types of the map's own: anything is better."""
    struct = aux if isinstance(aux, StepInfo) else jax.eval_shape(lambda: _bare(rms(like)))
    far, none = (lambda x: jnp.full((), jnp.inf, x.dtype)), (lambda x: jnp.zeros((), x.dtype))
    return StepInfo(far(struct.residual), none(struct.scale), far(struct.energy), none(struct.energy_size))


def _bare(residual: Array) -> StepInfo:
    return StepInfo(residual, residual, jnp.zeros_like(residual), jnp.zeros_like(residual))


def judged(aux: PyTree, rejected: Bool[Array, ""], restarted: Bool[Array, ""]) -> PyTree:
    """`aux` with the verdict on the point, if it is an account of it."""
    if not isinstance(aux, StepInfo):
        return aux
    return eqx.tree_at(lambda t: (t.accepted, t.restarted), aux, (~rejected, restarted))
