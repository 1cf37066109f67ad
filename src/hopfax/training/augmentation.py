"""Augmentation: random changes of the training images that keep their labels, drawn anew at each step."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._internal.checks import require_integer, require_kind

Image = Float[Array, "height width *channels"]


class AbstractAugmentation(eqx.Module):
    """A random change of an image that keeps its shape and its label."""

    @abc.abstractmethod
    def __call__(self, image: Image, *, key: Key[Array, ""]) -> Image:
        """The changed image."""


class RandomCrop(AbstractAugmentation):
    """A window of the size of the image, cut at random from the image between `padding` zeros on each side.

    It is the same as a random shift by up to `padding` whole pixels along both axes, where zeros come in.
    Raises: `ValueError` unless `padding` is a whole number, at least 1.
    """

    padding: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        require_integer("RandomCrop.padding", self.padding, 1)

    def __call__(self, image: Image, *, key: Key[Array, ""]) -> Image:
        widths = [(self.padding, self.padding)] * 2 + [(0, 0)] * (image.ndim - 2)
        corner = jr.randint(key, (2,), 0, 2 * self.padding + 1)
        start = [*corner, *[0] * (image.ndim - 2)]
        return jax.lax.dynamic_slice(jnp.pad(image, widths), start, image.shape)


class HorizontalFlip(AbstractAugmentation):
    """The image, or with probability 1/2 its mirror image, left and right exchanged."""

    def __call__(self, image: Image, *, key: Key[Array, ""]) -> Image:
        return jnp.where(jr.bernoulli(key), image[:, ::-1], image)


class Compose(AbstractAugmentation):
    """One augmentation after the other: `Compose((RandomCrop(4), HorizontalFlip()))`.

    Raises: `ValueError` for objects that are no augmentations.
    """

    augmentations: tuple[AbstractAugmentation, ...]

    def __check_init__(self):
        require_kind("Compose.augmentations", self.augmentations, tuple, "(RandomCrop(4), HorizontalFlip())")
        for augmentation in self.augmentations:
            require_kind("Compose.augmentations", augmentation, AbstractAugmentation, "RandomCrop(4)")

    def __call__(self, image: Image, *, key: Key[Array, ""]) -> Image:
        keys = jr.split(key, max(len(self.augmentations), 1))
        for augmentation, own_key in zip(self.augmentations, keys, strict=False):
            image = augmentation(image, key=own_key)
        return image


def augment_batch(
    augmentation: AbstractAugmentation,
    images: Float[Array, "batch pixels"],
    shape: tuple[int, ...],
    key: Key[Array, ""],
) -> Float[Array, "batch pixels"]:
    """A batch of flattened images of this `shape`, each changed with a key of its own."""
    change = lambda image, key: augmentation(image.reshape(shape), key=key).reshape(-1)
    return jax.vmap(change)(images, jr.split(key, len(images)))
