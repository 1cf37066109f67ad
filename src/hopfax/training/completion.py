"""Completion: the task of training a network to complete images of which random parts are missing."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from .._internal.checks import require_kind
from ..costs import SquaredError
from ..diagnostics.saturation import saturation
from ..method import Method
from ..networks.layers import Clamp, PartialClamp
from ..networks.network import AbstractNetwork
from ..objective import cost_example
from ..relax import relax
from ..solvers.equilibrium import Status
from .classification import counted_gradient, what_is_nonfinite
from .masks import AbstractGuess, AbstractMasks, Block, Half, Mixture, ScatteredPixels, UniformNoise
from .spectral_penalty import SpectralPenalty, penalty_of
from .task import AbstractTask, check_pixels

# A few scattered pixels are easy, and a half is hard: with equal weights, the larger errors of halves would dominate.
MASKS = Mixture((ScatteredPixels(0.1, 0.5), ScatteredPixels(), Half(), Block()), (6.0, 1.5, 1.5, 1.0))


class Incomplete(eqx.Module):
    """Images of which parts are missing, with the batch along the leading axis of each array."""

    images: Float[Array, "batch ..."]
    known: Bool[Array, "batch ..."]
    guess: Float[Array, "batch ..."]  # from which the missing pixels start

    @property
    def filled(self) -> Float[Array, "batch ..."]:
        """The known pixels, with the guess in place of the others."""
        return jnp.where(self.known, self.images, self.guess)

    @property
    def missing(self) -> Float[Array, ""]:
        """The mean number of missing pixels of an image."""
        return (jnp.sum(~self.known) / len(self.known)).astype(jnp.float32)


class CompletionSums(eqx.Module):
    """Sums over the batches of an epoch so far."""

    loss: Float[Array, ""]  # of the mean costs of the batches
    missing: Float[Array, ""]  # of the mean numbers of missing pixels of the batches
    steps: Int[Array, ""]  # updates to equilibrium, over all examples
    did_not_converge: Int[Array, ""]  # examples
    gradient_flagged: Int[Array, ""]  # examples whose backward or nudged solves missed their tolerance


class AbstractCompletion(AbstractTask):
    """Random parts of an image are missing, and the cost is half of their squared error, `½ Σ_missing (g - x)²`.

    Labels are not used.
    """

    masks: eqx.AbstractVar[AbstractMasks]
    """What is missing, drawn anew for each image at each step."""

    guess: eqx.AbstractVar[AbstractGuess]
    """From which missing pixels start."""

    image_shape: eqx.AbstractVar[tuple[int, ...] | None]
    """The shape of an image for the masks; None for that of the layer."""

    @abc.abstractmethod
    def pixels(self, model: PyTree) -> tuple[int, ...]:
        """The shape in which the model takes an image."""

    @abc.abstractmethod
    def check_model(self, model: PyTree) -> None:
        """Raises: `ValueError` where the model cannot complete images."""

    def check(self, model: PyTree, images: Any, labels: Any) -> None:
        self.check_model(model)
        shape = self.pixels(model)
        size = int(np.prod(shape))
        check_pixels(images, size)
        if self.image_shape is not None and int(np.prod(self.image_shape)) != size:
            raise ValueError(
                f"`image_shape={self.image_shape}` does not fit the {size} pixels of the model; give the shape of one "
                "image."
            )
        self.masks.check(self.image_shape or shape)

    def draw(self, model: PyTree, images: Array, labels: Array, key: Key[Array, ""]) -> Incomplete:
        shape, image_shape = self.pixels(model), self.image_shape or self.pixels(model)

        def one(image, key):
            mask_key, guess_key = jr.split(key)
            known = self.masks.draw(mask_key, image_shape)
            guess = self.guess.draw(guess_key, image_shape).astype(image.dtype)
            return Incomplete(image.reshape(shape), known.reshape(shape), guess.reshape(shape))

        return jax.vmap(one)(images, jr.split(key, len(images)))

    def zero(self) -> CompletionSums:
        means = (jnp.zeros((), jnp.float32) for _ in range(2))
        counts = (jnp.zeros((), jnp.int32) for _ in range(3))  # separate arrays: the memory of each is reused
        return CompletionSums(*means, *counts)

    def means(self, sums: CompletionSums, batches: int, batch_size: int) -> dict[str, float]:
        examples = batches * batch_size
        return {
            "loss": float(sums.loss) / batches,
            "error_per_pixel": 2 * float(sums.loss) / max(float(sums.missing), 1.0),
            "mean_steps": int(sums.steps) / examples,
            "did_not_converge": int(sums.did_not_converge),
            "gradient_flagged": int(sums.gradient_flagged),
        }


class Completion(AbstractCompletion):
    """The known pixels are clamped, the others relax to equilibrium, and their squared error there is the cost.

    Training at equilibrium, and from random starts, makes the completed image an attractor. A network that is
    trained through a few sweeps passes the completed image, and leaves it when it relaxes further.

    Args:
        method: how the network is relaxed and differentiated: by any gradient, equilibrium propagation included.
        masks: what is missing.
        layer: the layer of pixels. Its activation at the state `x` must be `x` for all `x` in [0, 1]: `HardSigmoid()`
            or `Identity()`.
        image_shape: the shape of an image for the masks; that of the layer if None.
        guess: from which missing pixels start.
        clamp: `(image, known) -> clamp` of one example for a network that gets the image elsewhere too, such as
            `hopfax.networks.PatchClamp`; by default only the known pixels of `layer` are clamped.
        penalty: on the largest eigenvalue of the update at equilibrium, added to the cost; None for none.
    Raises: `ValueError` for an object of another kind.
    """

    method: Method = Method()
    masks: AbstractMasks = MASKS
    layer: str = eqx.field(static=True, default="visible")
    image_shape: tuple[int, ...] | None = eqx.field(static=True, default=None)
    guess: AbstractGuess = UniformNoise()
    clamp: Callable[[Array, Array], Clamp] | None = None
    penalty: SpectralPenalty | None = None

    def __check_init__(self):
        require_kind("Completion.penalty", self.penalty, SpectralPenalty | None, "SpectralPenalty()")
        require_kind("Completion.method", self.method, Method, "Method(rtol=1e-3)")
        require_kind("Completion.masks", self.masks, AbstractMasks, "ScatteredPixels()")
        require_kind("Completion.guess", self.guess, AbstractGuess, "UniformNoise()")

    def pixels(self, model: AbstractNetwork) -> tuple[int, ...]:
        return model.layers[self.layer].shape

    def check_model(self, model: AbstractNetwork) -> None:
        check_pixel_layer(model, self.layer)

    def gradient(
        self, model: AbstractNetwork, examples: Incomplete, step: Int[Array, ""]
    ) -> tuple[PyTree, CompletionSums]:
        return counted_gradient(self._loss, model, len(examples.images), examples)

    def _loss(self, model_and_stats, examples: Incomplete) -> tuple[Array, CompletionSums]:
        """Mean cost of a batch with the penalty, and its sums except for the count of flagged gradients."""
        model, stats = model_and_stats
        cost = SquaredError(self.layer)  # zero at the known pixels, whose activation is the target

        def example(image, known, filled, stats):
            free, start = model.condition(self._clamp(image, known)), {self.layer: filled}
            value, states, statistics = cost_example(free, start, cost, image, self.method, stats)
            return value, penalty_of(self.penalty, free, self.method, states), statistics

        inputs = (examples.images, examples.known, examples.filled, stats)
        values, penalties, statistics = jax.vmap(example)(*inputs)
        unfinished = statistics.status != Status.converged
        # An image that did not converge is at no equilibrium, so it counts in the loss and not in its gradient.
        loss = jnp.mean(jnp.where(unfinished, jax.lax.stop_gradient(values), values))
        counts = jnp.sum(statistics.steps), jnp.sum(unfinished), jnp.zeros((), jnp.int32)
        return loss + jnp.mean(penalties), CompletionSums(loss, examples.missing, *counts)

    def _clamp(self, image: Array, known: Array) -> Clamp:
        return {self.layer: PartialClamp(image, known)} if self.clamp is None else self.clamp(image, known)

    def saturation(self, model: AbstractNetwork, images: Array, labels: Array) -> dict[str, Array]:
        """Saturation of the other layers only: most pixels of an image are rightly 0 or 1, the ends of their range."""
        examples = self.draw(model, images, labels, jr.key(0))
        clamp = self._clamp(examples.images, examples.known)
        states = relax(model, clamp, start={self.layer: examples.filled}, method=self.method).state
        return saturation(model, {name: state for name, state in states.items() if name != self.layer})

    def explain_failure(self, before, after, examples, step) -> str:
        return what_is_nonfinite(after)


class FeedForwardCompletion(AbstractCompletion):
    """The missing pixels in one pass of `model(image, known)`; all examples count as converged."""

    masks: AbstractMasks = MASKS
    guess: AbstractGuess = UniformNoise()  # which `model` does not get
    image_shape: tuple[int, ...] | None = eqx.field(static=True, default=None)
    shape: tuple[int, ...] = eqx.field(static=True, kw_only=True)
    """The shape in which the model takes an image."""

    def pixels(self, model: eqx.Module) -> tuple[int, ...]:
        return self.shape

    def check_model(self, model: eqx.Module) -> None:
        return

    def gradient(self, model, examples: Incomplete, step: Array) -> tuple[eqx.Module, CompletionSums]:
        def loss(model):
            completed = jax.vmap(model)(examples.images, examples.known)
            difference = jnp.where(examples.known, 0, completed - examples.images)
            return 0.5 * jnp.sum(jnp.square(difference)) / len(examples.images)

        value, gradient = eqx.filter_value_and_grad(loss)(model)
        sums = eqx.tree_at(lambda s: (s.loss, s.missing), self.zero(), (value, examples.missing))
        return gradient, sums

    def saturation(self, model, images, labels) -> dict[str, Array]:
        return {}

    def explain_failure(self, before, after, examples, step) -> str:
        return "the loss"


def check_pixel_layer(model: AbstractNetwork, name: str) -> None:
    """Raises: `ValueError` where there is no layer `name`, or its activations at pixels are not the pixels."""
    layer = model.layers.get(name)
    if layer is None:
        raise ValueError(f"the model has no layer {name!r}; its layers are {list(model.order)}.")
    lagrangian = layer.lagrangian
    levels = jnp.linspace(0, 1, 5)
    if not lagrangian.elementwise or not jnp.allclose(lagrangian.activation(levels), levels, atol=1e-6):
        raise ValueError(
            f"layer {name!r} of `{type(lagrangian).__name__}` cannot be clamped at pixels in [0, 1], because its "
            "activations there are not the pixels; use `HardSigmoid()` or `Identity()`."
        )
