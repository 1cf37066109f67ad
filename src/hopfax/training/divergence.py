"""Where a run diverged: the steps since the last good state done again, one at a time."""

import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import ArrayLike, Float, Int

from .._internal.tree import all_finite
from ..networks.network import AbstractNetwork
from .loop import Block, blocks
from .state import TrainState
from .step import Trainer


def first_failure(
    trainer: Trainer,
    state: TrainState,
    images: Float[ArrayLike, "..."],
    labels: Int[ArrayLike, "..."],
    *,
    epochs: int,
    mesh: Mesh | None = None,
) -> Block | None:
    """The first step from `state` on after which the loss or a weight is not finite, if there is one.

    Repeated to the last bit, since results do not depend on the blocks.
    """
    single = blocks(trainer, state, images, labels, epochs=epochs, per_epoch=jnp.size(labels), mesh=mesh)
    return next((block for block in single if not block.finite), None)


def not_finite(model: AbstractNetwork) -> list[str]:
    """The layers whose weights or parameters are not finite, and the synapses between them, in order."""
    parts = {f"synapse {label!r}": synapse for label, synapse in model.synapses.items()}
    parts |= {f"layer {name!r}": model.layers[name] for name in model.order}
    return [name for name, part in parts.items() if not all_finite(part)]
