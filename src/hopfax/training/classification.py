"""Classification: the task of training a network to read classes off its equilibrium."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

from .._internal.checks import require_kind, require_number
from .._internal.tree import all_finite
from ..costs import AbstractCost, SquaredError
from ..diagnostics.saturation import saturation
from ..gradients.base import AdjointStats
from ..method import Method
from ..networks.network import AbstractNetwork
from ..objective import cost_example
from ..relax import all_states, relax
from ..solvers.equilibrium import Status
from .augmentation import AbstractAugmentation, augment_batch
from .spectral_penalty import SpectralPenalty, penalty_of
from .task import AbstractTask


class ClassificationSums(eqx.Module):
    """Sums over the batches of an epoch so far."""

    loss: Float[Array, ""]  # of the mean costs of the batches
    correct: Int[Array, ""]  # examples
    steps: Int[Array, ""]  # updates to equilibrium, over all examples
    did_not_converge: Int[Array, ""]  # examples
    gradient_flagged: Int[Array, ""]  # examples whose backward or nudged solves missed their tolerance


class Classification(AbstractTask):
    """The layer `clamp` is clamped at the image; `cost` compares the equilibrium with the label.

    Args:
        method: how the network is relaxed and differentiated.
        cost: of one example; the loss of a batch is the mean.
        clamp: the layer that is clamped at the image.
        smoothing: `ε` of the target `(1 - ε) one-hot + ε / classes`, in [0, 1).
        augmentation: of the images of each step, drawn from the key of the run; None leaves them as they are.
        image_shape: (height, width) or (height, width, channels) for the augmentation; by default that of the layer.
        penalty: on the largest eigenvalue of the update at equilibrium, added to the cost; None for none.
    Raises: `ValueError` for an object of another kind, or another smoothing.
    """

    method: Method = Method()
    cost: AbstractCost = SquaredError()
    clamp: str = eqx.field(static=True, default="input")
    smoothing: float = eqx.field(static=True, default=0.0)
    augmentation: AbstractAugmentation | None = None
    image_shape: tuple[int, ...] | None = eqx.field(static=True, default=None)
    penalty: SpectralPenalty | None = None

    def __check_init__(self):
        require_kind("Classification.method", self.method, Method, 'hopfax.papers.paper_method("HAM-EO")')
        require_kind("Classification.cost", self.cost, AbstractCost, "SquaredError()")
        label = "Classification.augmentation"
        require_kind(label, self.augmentation, AbstractAugmentation | None, "RandomCrop(padding=4)")
        require_kind("Classification.penalty", self.penalty, SpectralPenalty | None, "SpectralPenalty()")
        require_number("Classification.smoothing", self.smoothing, lambda x: 0 <= x < 1, "in [0, 1)")

    def zero(self) -> ClassificationSums:
        counts = (jnp.zeros((), jnp.int32) for _ in range(4))  # separate arrays: the memory of each is reused
        return ClassificationSums(jnp.zeros((), jnp.float32), *counts)

    def check(self, model: AbstractNetwork, images: Any, labels: Any) -> None:
        image_layer, output = model.layers.get(self.clamp), model.layers.get(self.cost.layers[0])
        if image_layer is None or output is None:
            raise ValueError(
                f"`Classification(clamp={self.clamp!r}, cost={self.cost})` names a layer that the model does not "
                f"have; its layers are {list(model.order)}."
            )
        if np.ndim(images) != 2 or np.shape(images)[1] != image_layer.size:
            raise ValueError(
                f"`images` have shape {np.shape(images)}; layer {self.clamp!r} needs (examples, {image_layer.size})."
            )
        shape = self._image_shape(model)
        if self.augmentation is not None and (len(shape) < 2 or math.prod(shape) != image_layer.size):
            raise ValueError(
                f"`Classification(image_shape={self.image_shape})` must be (height, width) or (height, width, "
                f"channels) of {image_layer.size} pixels for an augmentation; layer {self.clamp!r} has the shape "
                f"{image_layer.shape}."
            )
        _check_labels(labels, output.size, self.cost.layers[0])

    def draw(self, model, images, labels, key) -> tuple[Array, Array]:
        if self.augmentation is None:
            return images, labels
        return augment_batch(self.augmentation, images, self._image_shape(model), key), labels

    def _image_shape(self, model: AbstractNetwork) -> tuple[int, ...]:
        return model.layers[self.clamp].shape if self.image_shape is None else self.image_shape

    def gradient(
        self, model: AbstractNetwork, examples: tuple[Array, Array], step: Int[Array, ""]
    ) -> tuple[PyTree, ClassificationSums]:
        return counted_gradient(self._loss, model, len(examples[1]), *examples)

    def _loss(self, model_and_stats, images: Array, labels: Array) -> tuple[Array, ClassificationSums]:
        """Mean cost of a batch with the penalty, and its sums except for the count of flagged gradients."""
        model, stats = model_and_stats

        def example(image, target, stats):
            clamp = {self.clamp: image.reshape(model.layers[self.clamp].shape)}
            free = model.condition(clamp)
            value, states, statistics = cost_example(free, {}, self.cost, target, self.method, stats)
            penalty = penalty_of(self.penalty, free, self.method, states)
            states = all_states(model, free, clamp, states)
            return value, penalty, self.cost.scores(states, model.activations(states)), statistics

        targets = self.targets(model, labels)
        values, penalties, scores, statistics = jax.vmap(example)(images, targets, stats)
        loss, correct = jnp.mean(values), jnp.argmax(scores, axis=-1) == labels
        unfinished = statistics.status != Status.converged
        counts = jnp.sum(correct), jnp.sum(statistics.steps), jnp.sum(unfinished)
        sums = ClassificationSums(loss, *counts, jnp.zeros((), jnp.int32))
        return loss + jnp.mean(penalties), sums

    def targets(self, model: AbstractNetwork, labels: Int[Array, " batch"]) -> Float[Array, "batch classes"]:
        """One row for each label, one-hot or smoothed."""
        targets = jax.nn.one_hot(labels, model.layers[self.cost.layers[0]].size, dtype=jnp.float32)
        return optax.smooth_labels(targets, self.smoothing) if self.smoothing else targets

    def means(self, sums: ClassificationSums, batches: int, batch_size: int) -> dict[str, float]:
        examples = batches * batch_size
        return {
            "loss": float(sums.loss) / batches,
            "train_accuracy": int(sums.correct) / examples,
            "mean_steps": int(sums.steps) / examples,
            "did_not_converge": int(sums.did_not_converge),
            "gradient_flagged": int(sums.gradient_flagged),
        }

    def progress(self, sums: ClassificationSums, batches: int, batch_size: int) -> str:
        means, examples = self.means(sums, batches, batch_size), batches * batch_size
        converged = 1 - means["did_not_converge"] / examples
        return (
            f"loss {means['loss']:.4g}, error {1 - means['train_accuracy']:.2%}, {converged:.1%} converged, "
            f"{means['mean_steps']:.1f} steps"
        )

    def saturation(self, model: AbstractNetwork, images: Array, labels: Array) -> dict[str, Array]:
        clamp = images.reshape(-1, *model.layers[self.clamp].shape)
        states = relax(model, {self.clamp: clamp}, method=self.method).state
        return saturation(model, {name: state for name, state in states.items() if name != self.clamp})

    def explain_failure(self, before, after, examples, step) -> str:
        return what_is_nonfinite(after)


def counted_gradient(
    loss: Callable[..., tuple[Array, Any]], model: PyTree, batch: int, *examples: PyTree
) -> tuple[PyTree, Any]:
    """The gradient of `loss((model, stats), *examples)` in the model, and its sums with `gradient_flagged` counted."""
    blank = AdjointStats.blank(batch)
    (gradient, stats), sums = eqx.filter_grad(loss, has_aux=True)((model, blank), *examples)
    flagged = jnp.sum(stats.flagged > 0)
    return gradient, eqx.tree_at(lambda s: s.gradient_flagged, sums, flagged)


def _check_labels(labels: Any, classes: int, layer: str) -> None:
    kind = getattr(labels, "dtype", None)
    if kind is None or not np.issubdtype(kind, np.integer):
        raise ValueError(f"`labels` must be an array of whole numbers, got {kind or type(labels).__name__}.")
    low, high = (int(np.min(labels)), int(np.max(labels))) if np.size(labels) else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(f"`labels` lie in [{low}, {high}]; layer {layer!r} has {classes} neurons.")


def what_is_nonfinite(model: AbstractNetwork) -> str:
    """The synapses and layers whose weights or parameters are not finite, in order, or else the loss, in words."""
    parts = {f"synapse {label!r}": synapse for label, synapse in model.synapses.items()}
    parts |= {f"layer {name!r}": model.layers[name] for name in model.order}
    names = [name for name, part in parts.items() if not all_finite(part)]
    return f"weights of {', '.join(names)}" if names else "the loss"
