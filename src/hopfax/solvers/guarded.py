"""What accelerated solvers share: extrapolated points are accepted or rejected by a safeguard."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from .._internal.tree import rms
from ..updates.problem import StepInfo
from .safeguards import AbstractSafeguard


class AbstractGuardedSolver(optx.AbstractFixedPointSolver):
    """A fixed-point solver that evaluates the map once a step and rejects extrapolated points by its safeguard.

    After a rejection the solver goes to the plain image of the last accepted point, which is known already. Where plain
    steps may raise the energy they are guarded too: a plain step is halved after each rejection.
    A subclass gives `init` and `advance`. Its state has, besides fields of its own, the last accepted `point`, its
    `StepInfo` `accepted`, the `fallback` to which the solver goes if the next point is rejected (see `fallback_of`),
    and whether the point to be evaluated next is `extrapolated`.
    """

    safeguard: eqx.AbstractVar[AbstractSafeguard]
    norm: ClassVar[Callable[[PyTree], Array]] = staticmethod(rms)

    @property
    def watches_energy(self) -> bool:
        """Whether the safeguard needs the energy."""
        return self.safeguard.watches_energy

    @property
    def watches_slope(self) -> bool:
        """Whether the safeguard can use the slope of the energy in place of the energy."""
        return self.safeguard.watches_slope

    @abc.abstractmethod
    def advance(
        self,
        point: Float[Array, " n"],
        image: Float[Array, " n"],
        info: StepInfo,
        rejected: Bool[Array, ""],
        state: Any,
    ) -> tuple[Float[Array, " n"], Any, Bool[Array, ""]]:
        """The next point and state, and whether the history was emptied for another reason than a rejection.

        Where `point` is rejected, the next point must be `state.fallback`, and the next fallback `halved(state)`.
        """

    def step(self, fn, y, args, options, state, tags):
        point, unravel = ravel_pytree(y)
        tree_image, aux = fn(y, args)
        image, _ = ravel_pytree(tree_image)
        info = _step_info(aux, tree_image, y, self.safeguard)
        rejects = self.safeguard.rejects(info, state.accepted)
        rejected = state.extrapolated & (rejects | ~jnp.isfinite(info.residual))
        if not info.descends and self.watches_energy:
            rejected = rejected | (rejects & jnp.isfinite(state.accepted.residual))  # the start is accepted
        new, state, restarted = self.advance(point, image, info, rejected, state)
        return unravel(new), state, _record(aux, rejected, restarted)

    def terminate(self, fn, y, args, options, state, tags):
        tolerance = self.atol + self.rtol * state.accepted.scale
        return state.accepted.residual <= tolerance, optx.RESULTS.successful

    def postprocess(self, fn, y, aux, args, options, state, tags, result):
        return ravel_pytree(y)[1](state.point), aux, {}


def fallback_of(point: Array, image: Array, extrapolated: Bool[Array, ""]) -> Array:
    """Where to go if the point after the accepted `point` is rejected: to the plain image, or halfway to it."""
    return jnp.where(extrapolated, image, (point + image) / 2)


def halved(state: Any) -> Array:
    """The next fallback after a rejection: halfway from the accepted point to the last fallback."""
    return (state.point + state.fallback) / 2


def initial_info(aux: PyTree, like: Array) -> StepInfo:
    """The `StepInfo` to start from: residual and energy are infinite, so that any point is accepted.

    Args:
        aux: the structure of what the map returns besides the image; a `StepInfo` gives the types.
        like: the start, which gives the types otherwise.
    """
    struct = (
        aux if isinstance(aux, StepInfo) else jax.eval_shape(lambda: _without_energy(rms(like), rms(like)))
    )
    infinite, zero = (lambda x: jnp.full(x.shape, jnp.inf, x.dtype)), (lambda x: jnp.zeros(x.shape, x.dtype))
    return StepInfo(
        infinite(struct.residual),
        zero(struct.scale),
        infinite(struct.energy),
        zero(struct.energy_size),
        descends=struct.descends,
        slope=jax.tree.map(zero, struct.slope),
    )


def _step_info(aux: PyTree, image: PyTree, point: PyTree, safeguard: AbstractSafeguard) -> StepInfo:
    """What the map says about a point; outside `hopfax.relax`, where the map may say nothing, its residual alone."""
    if isinstance(aux, StepInfo):
        return aux
    if safeguard.watches_energy:
        raise ValueError(
            f"`safeguard={type(safeguard).__name__}()` needs a map that also returns a `StepInfo` with the energy "
            "(`has_aux=True`), as in `hopfax.relax`. Elsewhere use `safeguard=Residual()`."
        )
    return _without_energy(rms(jax.tree.map(jnp.subtract, image, point)), rms(image))


def _without_energy(residual: Array, scale: Array) -> StepInfo:
    return StepInfo(residual, scale, jnp.zeros_like(residual), jnp.zeros_like(residual))


def _record(aux: PyTree, rejected: Bool[Array, ""], restarted: Bool[Array, ""]) -> PyTree:
    """`aux` with what was decided about the point, if it is a `StepInfo`."""
    if not isinstance(aux, StepInfo):
        return aux
    return eqx.tree_at(lambda info: (info.accepted, info.restarted), aux, (~rejected, restarted))
