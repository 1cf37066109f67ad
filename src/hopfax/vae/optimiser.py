"""A VAE's optimiser: Adam or Muon, with a rate of their own for the synapses of the visible layer."""

import functools as ft
from collections.abc import Hashable

import jax
import optax
from jaxtyping import PyTree

from .likelihoods import VISIBLE

OTHERS = "others"
SIZE = 0.2  # rms of an orthogonal step at rate 1: about that of Adam's, so that rates mean the same


@ft.cache
def optimiser(
    learning_rate: float,
    steps: int,
    final: float,
    visible_rate: float,
    clip: float | None,
    orthogonal: int,
) -> optax.GradientTransformation:
    """The arguments are those of `VAEConfig`; `steps` in all.

    The same object for the same settings, so that what is compiled with it is found again.
    """
    bounded = optax.identity() if clip is None else optax.clip_by_global_norm(clip)
    rate = optax.cosine_decay_schedule(learning_rate, steps, final)
    plain = (
        optax.contrib.muon(rate, ns_steps=orthogonal, consistent_rms=SIZE) if orthogonal else optax.adam(rate)
    )
    rates: dict[Hashable, optax.GradientTransformation]
    rates = {VISIBLE: optax.scale(visible_rate), OTHERS: optax.identity()}
    return optax.chain(bounded, plain, optax.partition(rates, _kinds))


def _kinds(weights: PyTree) -> PyTree:
    """`VISIBLE` for what belongs to a synapse of that layer."""
    kind = lambda path, _: VISIBLE if VISIBLE in jax.tree_util.keystr(path) else OTHERS
    return jax.tree_util.tree_map_with_path(kind, weights)
