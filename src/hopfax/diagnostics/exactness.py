"""Which layers of a network are minimised exactly, and which synapse prevents it for the others."""

import dataclasses
import enum
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp

from .._internal.checks import require_kind
from ..networks.network import AbstractNetwork
from ..updates import AbstractUpdate, Coloured


class LayerStep(enum.Enum):
    """What an update does with a layer, from the best to the worst."""

    eliminated = "eliminated: always at its minimum given the others"
    exact = "exact: its step goes to its minimum given the others"
    majorised = "majorised: its step minimises an upper bound of the energy, which does not rise"
    together = "together: all layers step at once, and solvers with an energy safeguard shorten the step"
    guarded = "guarded: its step may raise the energy, and solvers with an energy safeguard shorten it"


@dataclasses.dataclass(frozen=True)
class LayerExactness:
    """What an update does with one layer.

    Attributes:
        layer: its name.
        step: what is done with it.
        synapse: the name of a synapse that prevents a better step, or None.
    """

    layer: str
    step: LayerStep
    synapse: str | None

    def __str__(self) -> str:
        reason = f" (because of the synapse {self.synapse!r})" if self.synapse else ""
        return f"{self.layer}: {self.step.value}{reason}"


def exactness(
    model: AbstractNetwork, clamped: Sequence[str] = (), update: AbstractUpdate = Coloured()
) -> tuple[LayerExactness, ...]:
    """What `update` does with each free layer while the layers in `clamped` are fixed.

    `print(*hopfax.diagnostics.exactness(model, ["input"]), sep="\\n")` shows it.
    Raises: `ValueError` for an unknown layer, and where the update does not fit the network.
    """
    require_kind("model", model, AbstractNetwork, "hopfax.chain([784, 512, 10], key=key)")
    require_kind("update", update, AbstractUpdate, "Coloured()")
    if unknown := [name for name in clamped if name not in model.layers]:
        raise ValueError(
            f"`clamped` names an unknown layer {unknown[0]!r}; the layers are {list(model.order)}."
        )
    clamp = lambda: {name: jnp.zeros(model.layers[name].shape) for name in clamped}
    free = eqx.filter_eval_shape(lambda model: model.condition(clamp()), model)
    return tuple(_of_layer(free, name, update) for name in free.order)


def _of_layer(free: AbstractNetwork, name: str, update: AbstractUpdate) -> LayerExactness:
    not_affine, not_concave = free.not_affine_in(name), free.not_concave_in(name)
    if name not in update.unknowns(free):
        return LayerExactness(name, LayerStep.eliminated, None)
    if not_concave is None and not update.descends(free):
        return LayerExactness(name, LayerStep.together, None)
    if not_affine is None:
        return LayerExactness(name, LayerStep.exact, None)
    if not_concave is None:
        return LayerExactness(name, LayerStep.majorised, not_affine)
    return LayerExactness(name, LayerStep.guarded, not_concave)
