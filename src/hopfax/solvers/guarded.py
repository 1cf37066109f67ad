"""What accelerated solvers share: they leap, are judged where they land, and fall back on the plain image."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from ..problem import Trial
from . import trials
from .safeguards import AbstractSafeguard


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
        trial: Trial,
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
