"""The completers that are trained: Hopfield networks by two gradients, a VAE, and a feed-forward network."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Key, PyTree

from ...data import Dataset
from ...gradients.base import AbstractGradient
from ...networks import load_model
from ...networks.network import AbstractNetwork
from ...training import (
    AbstractJob,
    CompletionJob,
    CompletionRecipe,
    FromMixture,
    Trainer,
    TrainState,
    complete,
    mixture_recipe,
    run_and_store,
)
from ...training.completion import FeedForwardCompletion
from ...training.loop import fit
from ...training.trainer import batches_per_epoch
from ...vae import VAEConfig, VAEJob
from ...vae.completion import inpaint, mean_image
from ...vae.config import SMALL, preset
from ...vae.evaluation import reconstruct
from ...vae.model import AbstractVAE
from ...vae.run import load_vae
from .completers import AbstractCompleter, Images, Known


@dataclasses.dataclass(frozen=True)
class NetworkCompleter(AbstractCompleter):
    """A Hopfield network whose known pixels are clamped, at equilibrium."""

    network: AbstractNetwork
    guess: Float[np.ndarray, " pixels"]

    def complete(self, images: Images, known: Known) -> Images:
        return np.asarray(complete(self.network, images, known, self.guess)[0])


@dataclasses.dataclass(frozen=True)
class VAECompleter(AbstractCompleter):
    """A VAE: the most probable latent for the known pixels, decoded."""

    vae: AbstractVAE
    guess: Float[np.ndarray, " pixels"]

    def complete(self, images: Images, known: Known) -> Images:
        return np.asarray(inpaint(self.vae, images, known, self.guess).images)

    def denoise(self, images: Images, deviation: float) -> Images:
        return np.asarray(reconstruct(self.vae, jnp.clip(jnp.asarray(images), 0, 1)))


@dataclasses.dataclass(frozen=True)
class MLPCompleter(AbstractCompleter):
    """A multilayer perceptron of the known pixels and their mask."""

    network: "MaskedMLP"

    def complete(self, images: Images, known: Known) -> Images:
        completed = _completed(self.network, jnp.asarray(images), jnp.asarray(known))
        return np.where(known, images, np.asarray(completed))


@eqx.filter_jit
def _completed(network: "MaskedMLP", images: Array, known: Array) -> Array:
    return jax.vmap(network)(images, known)


def completion_recipe(
    dataset: Dataset, gradient: AbstractGradient, epochs: int, seed: int
) -> CompletionRecipe:
    """The recipe for images of this size: a mixture of ten Gaussians, of 200 factors for MNIST, 30 for smaller ones."""
    pixels = dataset.train_images.shape[1]
    how = {"epochs": epochs, "gradient": gradient, "seed": seed}
    if pixels > SMALL:
        return dataclasses.replace(mixture_recipe(pixels), **how)
    # The best of a few settings on 300 held-out digits. Two nudged phases of 15 examples are below the batch from which
    # the solver is compiled in several sizes.
    start = FromMixture(ridge=0.01, temperature=5.0, shrinkage=20.0)
    recipe = mixture_recipe(pixels, factors=min(30, pixels))
    return dataclasses.replace(recipe, **how, initialisation=start, batch_size=15)


def trained_network(
    recipe: CompletionRecipe, dataset: Dataset, folder: Path | None = None
) -> NetworkCompleter:
    """The network in `folder`, which is trained first where it is not finished; without a folder, in memory."""
    model = _trained_model(CompletionJob(recipe, dataset), folder, load_model)
    return NetworkCompleter(model, mean_image(dataset))


def vae_config(dataset: Dataset, epochs: int, seed: int) -> VAEConfig:
    """The settings of the VAE for a data set."""
    return dataclasses.replace(preset(dataset), epochs=epochs, seed=seed)


def trained_vae(config: VAEConfig, dataset: Dataset, folder: Path | None = None) -> VAECompleter:
    """The VAE in `folder`, which is trained first where it is not finished; without a folder, in memory."""
    vae = _trained_model(VAEJob(config, dataset), folder, lambda folder: load_vae(folder)[0])
    return VAECompleter(vae, mean_image(dataset))


def _trained_model(job: AbstractJob, folder: Path | None, load: Callable[[Path], PyTree]) -> PyTree:
    """The model of a job. In memory it is not evaluated after training, which a run in a folder is."""
    if folder is not None:
        run_and_store(job, folder)
        return load(folder)
    trainer = job.trainer()
    return _after_training(trainer, job.begin(trainer), job.data.train_images, job.epochs)


class MaskedMLP(eqx.Module):
    """Pixels from the known pixels and their mask, through ReLU layers; sigmoid at the end."""

    layers: eqx.nn.MLP

    def __init__(self, pixels: int, width: int, depth: int, key: Key[Array, ""]):
        self.layers = eqx.nn.MLP(2 * pixels, pixels, width, depth, final_activation=jax.nn.sigmoid, key=key)

    def __call__(
        self, image: Float[Array, " pixels"], known: Bool[Array, " pixels"]
    ) -> Float[Array, " pixels"]:
        values = jnp.where(known, image, 0)
        return self.layers(jnp.concatenate([values, known.astype(values.dtype)]))


@dataclasses.dataclass(frozen=True)
class MLPRecipe:
    """How the feed-forward network is trained; `experiments/completion` has the search for these values on digits."""

    width: int = 1024
    depth: int = 2
    epochs: int = 100
    learning_rate: float = 3e-3
    batch_size: int = 64
    seed: int = 0


def trained_mlp(recipe: MLPRecipe, dataset: Dataset) -> MLPCompleter:
    """The network after training with the masks of the Hopfield networks, by Adam with a cosine decay."""
    images = dataset.train_images
    steps = recipe.epochs * batches_per_epoch(len(images), recipe.batch_size)
    model = MaskedMLP(images.shape[1], recipe.width, recipe.depth, jr.key(recipe.seed))
    optimiser = optax.adam(optax.cosine_decay_schedule(recipe.learning_rate, steps))
    task = FeedForwardCompletion(image_shape=dataset.image_shape, shape=images.shape[1:])
    trainer = Trainer(optimiser, task, recipe.batch_size)
    state = TrainState.begin(model, trainer, key=jr.key(recipe.seed + 1))
    return MLPCompleter(_after_training(trainer, state, images, recipe.epochs))


def _after_training(trainer: Trainer, state: TrainState, images: Images, epochs: int) -> PyTree:
    """The model after so many epochs."""
    labels = np.zeros(len(images), np.int32)
    for after, _ in fit(trainer, state, images, labels, epochs=epochs):
        state = after
    return state.model
