"""Equilibrium propagation watched in training: how near its gradient is to the exact one, and how far it may nudge."""

import dataclasses
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Scalar

from .._internal.tree import dot
from ..data import Dataset
from ..diagnostics.spectra import check_beta, critical_nudge
from ..gradients.ep import EquilibriumPropagation
from ..gradients.implicit import Implicit
from ..networks.network import AbstractNetwork
from ..relax import solve_example
from .step import Trainer, gradient_of, targets_of

LEAST_COSINE = 0.99


def check_nudge(trainer: Trainer, model: AbstractNetwork, dataset: Dataset) -> float | None:
    """`gradient_cosine` on the first batch of the training data, None for gradients that do not nudge.

    Warns where the nudge is above a tenth of the least critical one of the batch, and where the cosine is below 0.99.
    """
    if not isinstance(trainer.method.gradient, EquilibriumPropagation):
        return None
    images, labels = first_batch(trainer, dataset)
    check_beta(trainer.method.gradient.beta, critical_nudges(trainer, model, images, labels))
    cosine = float(gradient_cosine(trainer, model, images, labels))
    if cosine < LEAST_COSINE:
        warnings.warn(
            f"the gradient of equilibrium propagation has cosine {cosine:.3f} with the implicit one: what the nudge "
            "changes is near the rounding error of early layers, or it is too far. Change beta, or take an "
            "architecture with more feedback.",
            stacklevel=2,
        )
    return cosine


def first_batch(
    trainer: Trainer, dataset: Dataset
) -> tuple[Float[Array, "batch pixels"], Int[Array, " batch"]]:
    """The first examples for training, as many as a batch has."""
    images, labels = (x[: trainer.batch_size] for x in (dataset.train_images, dataset.train_labels))
    return jnp.asarray(images, jnp.float32), jnp.asarray(labels, jnp.int32)


@eqx.filter_jit
def gradient_cosine(
    trainer: Trainer,
    model: AbstractNetwork,
    images: Float[Array, "batch pixels"],
    labels: Int[Array, " batch"],
) -> Scalar:
    """`<a, b> / |a| |b|` over all weights, `a` the trainer's gradient of a batch's mean cost, `b` the implicit one."""
    ours, exact = (gradient_of(model, each, images, labels)[0] for each in (trainer, _implicit(trainer)))
    return dot(ours, exact) / jnp.sqrt(dot(ours, ours) * dot(exact, exact))


def critical_nudges(
    trainer: Trainer,
    model: AbstractNetwork,
    images: Float[Array, "batch pixels"],
    labels: Int[Array, " batch"],
) -> Float[Array, " batch"]:
    """`hopfax.diagnostics.spectra.critical_nudge` of each example at its equilibrium, whatever the trainer's gradient."""
    return _critical_nudges(_implicit(trainer), model, images, labels)


@eqx.filter_jit
def _critical_nudges(trainer: Trainer, model: AbstractNetwork, images: Array, labels: Array) -> Array:
    def one(image, target):
        clamp = {trainer.clamp: image}
        states = solve_example(model, clamp, {}, trainer.method).state
        return critical_nudge(model, clamp, states, trainer.cost, target, key=jr.key(0))

    return jax.vmap(one)(images, targets_of(trainer, model, labels))


def _implicit(trainer: Trainer) -> Trainer:
    return dataclasses.replace(trainer, method=dataclasses.replace(trainer.method, gradient=Implicit()))
