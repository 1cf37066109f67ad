"""Adam for a VAE, with a rate of their own for the synapses of the visible layer."""

import functools as ft
from collections.abc import Hashable

import jax
import optax
from jaxtyping import PyTree

from .likelihoods import VISIBLE

OTHERS = "others"


@ft.cache
def adam(
    learning_rate: float, steps: int, final: float, visible_rate: float, clip: float | None
) -> optax.GradientTransformation:
    """The arguments are those of `VAEConfig`; `steps` in all.

    The same object for the same settings, so that what is compiled with it is found again.
    """
    plain = optax.adam(optax.cosine_decay_schedule(learning_rate, steps, final))
    before = [] if clip is None else [optax.clip_by_global_norm(clip)]
    after = [] if visible_rate == 1 else [optax.partition(_rates(visible_rate), _kinds)]
    return optax.chain(*before, plain, *after) if before or after else plain


def _rates(visible_rate: float) -> dict[Hashable, optax.GradientTransformation]:
    return {VISIBLE: optax.scale(visible_rate), OTHERS: optax.identity()}


def _kinds(weights: PyTree) -> PyTree:
    """`VISIBLE` for what belongs to a synapse of that layer."""
    kind = lambda path, _: VISIBLE if VISIBLE in jax.tree_util.keystr(path) else OTHERS
    return jax.tree_util.tree_map_with_path(kind, weights)
