"""Checks of equilibrium propagation in training: the error of its gradient, and the largest nudge."""

import dataclasses
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PyTree

from ..data import Dataset
from ..diagnostics.gradient_check import worst_array
from ..diagnostics.spectra import critical_nudge, warn_of_large_nudge
from ..gradients.ep import EquilibriumPropagation
from ..gradients.implicit import Implicit
from ..networks.network import AbstractNetwork
from ..relax import solve_example
from .classification import Classification
from .trainer import Trainer

LEAST_COSINE = 0.99

Images = Float[Array, "batch pixels"]
Labels = Int[Array, " batch"]


def check_nudge(trainer: Trainer, model: AbstractNetwork, dataset: Dataset) -> float | None:
    """The smallest cosine, over arrays, of the gradient by equilibrium propagation with the implicit one.

    It is that of the first batch of the training data; None for gradients without a nudge.

    Warns where the nudge is above a tenth of the smallest critical nudge of the batch, and where the cosine is below
    0.99.
    """
    task = trainer.task
    if not isinstance(task, Classification) or not isinstance(task.method.gradient, EquilibriumPropagation):
        return None
    images, labels = (x[: trainer.batch_size] for x in (dataset.train_images, dataset.train_labels))
    images, labels = jnp.asarray(images, jnp.float32), jnp.asarray(labels, jnp.int32)
    if task.method.gradient.beta is not None:
        warn_of_large_nudge(task.method.gradient.beta, critical_nudges(task, model, images, labels))
    array, cosine = worst_array(*both_gradients(task, model, images, labels))
    if cosine < LEAST_COSINE:
        warnings.warn(
            f"the gradient of equilibrium propagation for `{array.lstrip('.')}` has cosine {cosine:.3f} with the "
            "implicit one. Take a smaller beta, or none to have it chosen; or weights further from a bifurcation.",
            stacklevel=2,
        )
    return cosine


@eqx.filter_jit
def both_gradients(
    task: Classification, model: AbstractNetwork, images: Images, labels: Labels
) -> tuple[PyTree, PyTree]:
    """The gradient of the mean cost by the task, and the implicit gradient; both without the task's penalty."""
    step, task = jnp.zeros((), jnp.int32), dataclasses.replace(task, penalty=None)
    gradient, exact = (t.gradient(model, (images, labels), step)[0] for t in (task, _implicit(task)))
    return gradient, exact


def critical_nudges(
    task: Classification, model: AbstractNetwork, images: Images, labels: Labels
) -> Float[Array, " batch"]:
    """`hopfax.diagnostics.critical_nudge` of each example at its equilibrium, whatever the gradient of the task."""
    return _critical_nudges(_implicit(task), model, images, labels)


@eqx.filter_jit
def _critical_nudges(
    task: Classification, model: AbstractNetwork, images: Images, labels: Labels
) -> Float[Array, " batch"]:
    def example(image, target):
        clamp = {task.clamp: image.reshape(model.layers[task.clamp].shape)}
        states = solve_example(model, clamp, {}, task.method).state
        return critical_nudge(model, clamp, states, task.cost, target, key=jr.key(0))

    return jax.vmap(example)(images, task.targets(model, labels))


def _implicit(task: Classification) -> Classification:
    return dataclasses.replace(task, method=dataclasses.replace(task.method, gradient=Implicit()))
