"""The training loop of a VAE: many steps in one compiled call, stopped at the first that is not finite."""

import math
import time
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, PyTree

from .._internal.tree import all_finite
from ..training.loop import bounds
from .loss import PHASES, AbstractLossGradient, Loss
from .model import AbstractVAE


class VAETrainer(eqx.Module):
    """How to train a VAE.

    Args:
        optimiser: any of optax.
        gradient: `EPGradient` or `ImplicitGradient`.
        binarise: draw each pixel 0 or 1 with its grey level as probability, anew for each step.
        kl, warmup: the weight of the KL term, and the steps in which it rises to that from zero.
    """

    optimiser: optax.GradientTransformation
    gradient: AbstractLossGradient
    batch_size: int = eqx.field(static=True, default=50)
    binarise: bool = eqx.field(static=True, default=False)
    kl: float = 1.0
    warmup: float = 0.0

    def weight(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """Of the KL term at `step`, from 0."""
        return jnp.asarray(self.kl, jnp.float32) * jnp.minimum(1, (step + 1) / max(self.warmup, 1))


class VAEState(eqx.Module):
    """A VAE in training. All that is random at a step follows from `key` and `step`."""

    vae: AbstractVAE
    optimiser_state: PyTree
    key: Key[Array, ""]
    step: Int[Array, ""]
    totals: Loss  # sums over the batches of an epoch so far

    @staticmethod
    def begin(
        vae: AbstractVAE, optimiser: optax.GradientTransformation, *, key: Key[Array, ""]
    ) -> "VAEState":
        optimiser_state = optimiser.init(eqx.filter(vae, eqx.is_inexact_array))
        return VAEState(vae, optimiser_state, key, jnp.zeros((), jnp.int32), no_loss())


class VAEBlock(eqx.Module):
    """Where a run stands after a block of steps."""

    state: VAEState  # after the last step that was finite
    epoch: int  # from 1
    batch: int  # batches done of this epoch
    batches: int  # in an epoch
    seconds: float  # spent on this epoch
    finite: bool  # loss, gradient and weights

    @property
    def ends_epoch(self) -> bool:
        return self.batch == self.batches


def no_loss() -> Loss:
    """Sums before the first batch."""
    zero = lambda: jnp.zeros((), jnp.float32)
    return Loss(zero(), zero(), zero(), jnp.zeros((len(PHASES),), jnp.int32))


def vae_blocks(
    trainer: VAETrainer,
    state: VAEState,
    images: Float[ArrayLike, "examples pixels"],
    *,
    epochs: int,
    per_epoch: int = 20,
    seconds: float = 0.0,
) -> Iterator[VAEBlock]:
    """Train until `epochs` epochs are done in all; yield after each of about `per_epoch` blocks an epoch.

    The results do not depend on `per_epoch`, nor on where a run was stopped and resumed.
    Raises: `ValueError` for images that do not fit the model or the batch size.
    """
    images = _checked(trainer, state.vae, images)
    batches = len(images) // trainer.batch_size
    length = math.ceil(batches / per_epoch)
    position, first = int(state.step) % batches, int(state.step) // batches
    for epoch in range(first, epochs):
        order = jr.permutation(jr.fold_in(jr.fold_in(state.key, 0), epoch), len(images))
        state = state if position else eqx.tree_at(lambda s: s.totals, state, no_loss())
        _advance(trainer, images, order, *bounds(position, position), state)  # compiles
        while position < batches:
            stop, began = min(position + length, batches), time.perf_counter()
            state, finite = _advance(trainer, images, order, *bounds(position, stop), state)
            finite = bool(finite)  # waits
            seconds += time.perf_counter() - began
            position = stop if finite else int(state.step) % batches
            yield VAEBlock(state, epoch + 1, position, batches, seconds, finite)
            if not finite:
                return
        position, seconds = 0, 0.0


def draw(
    trainer: VAETrainer, key: Key[Array, ""], step: Int[Array, ""], images: Array, latents: int
) -> tuple[Array, Array]:
    """The images of a step, binarised if the trainer says so, and its noise."""
    pixels, noise = jr.split(jr.fold_in(jr.fold_in(key, 1), step))
    drawn = jr.bernoulli(pixels, images).astype(images.dtype) if trainer.binarise else images
    return drawn, jr.normal(noise, (len(images), latents), images.dtype)


def batch_of(trainer: VAETrainer, state: VAEState, images: Array) -> tuple[Array, Array]:
    """The images and the noise of the step that comes after `state`."""
    batches = len(images) // trainer.batch_size
    epoch, position = int(state.step) // batches, int(state.step) % batches
    order = jr.permutation(jr.fold_in(jr.fold_in(state.key, 0), epoch), len(images))
    chosen = order[position * trainer.batch_size : (position + 1) * trainer.batch_size]
    return draw(trainer, state.key, state.step, jnp.asarray(images)[chosen], state.vae.latents)


@eqx.filter_jit
def _advance(trainer, images, order, start, stop, state: VAEState) -> tuple[VAEState, Bool[Array, ""]]:
    """The batches from `start` to `stop` of an epoch, or until one is not finite; the last good state."""
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(carry):
        i, dynamic, _ = carry
        chosen = jax.lax.dynamic_slice(order, (i * trainer.batch_size,), (trainer.batch_size,))
        after, finite = _step(trainer, eqx.combine(dynamic, static), images[chosen])
        after = eqx.filter(after, eqx.is_array)
        kept = jax.tree.map(lambda new, old: jax.lax.select(finite, new, old), after, dynamic)
        return i + 1, kept, finite

    going = lambda carry: (carry[0] < stop) & carry[2]
    _, dynamic, finite = jax.lax.while_loop(going, body, (start, dynamic, jnp.array(True)))
    return eqx.combine(dynamic, static), finite


def _step(trainer: VAETrainer, state: VAEState, images: Array) -> tuple[VAEState, Bool[Array, ""]]:
    images, noise = draw(trainer, state.key, state.step, images, state.vae.latents)
    loss, gradient = trainer.gradient(state.vae, images, noise, trainer.weight(state.step))
    weights = eqx.filter(state.vae, eqx.is_inexact_array)
    updates, optimiser_state = trainer.optimiser.update(gradient, state.optimiser_state, weights)
    vae = eqx.apply_updates(state.vae, updates)
    totals = jax.tree.map(lambda a, b: a + b.astype(a.dtype), state.totals, loss)
    return VAEState(vae, optimiser_state, state.key, state.step + 1, totals), all_finite(
        (vae, loss, gradient)
    )


def _checked(trainer: VAETrainer, vae: AbstractVAE, images: ArrayLike) -> Array:
    images = jnp.asarray(images, jnp.float32)
    if images.ndim != 2 or images.shape[1] != vae.pixels:
        raise ValueError(f"`images` have shape {images.shape}; the model needs (examples, {vae.pixels}).")
    if len(images) < trainer.batch_size:
        raise ValueError(
            f"`batch_size={trainer.batch_size}` is more than the {len(images)} training images; lower it."
        )
    return images
