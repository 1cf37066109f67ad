"""What is missing of an image in training: random masks, and the guesses from which the missing pixels start.

Evaluation has fixed masks, the same for all networks: `hopfax.data.corruption_masks`.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .._internal.checks import require_kind, require_number

Shape = tuple[int, ...]


class AbstractMasks(eqx.Module):
    """A distribution of masks over the pixels of an image; batch with `jax.vmap` over keys."""

    @abc.abstractmethod
    def check(self, shape: Shape) -> None:
        """Raises: `ValueError` where images of `shape` have no such masks."""

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], shape: Shape) -> Bool[Array, "..."]:
        """The mask of one image of `shape`, true where a pixel is known."""


class ScatteredPixels(AbstractMasks):
    """Each pixel is missing with probability `p`, drawn for each image, uniform in [least, most].

    In an image of (height, width, channels) all channels of a pixel are missing together.

    Raises: `ValueError` unless `0 <= least <= most <= 1`.
    """

    least: int | float = eqx.field(static=True, default=0.1)
    most: int | float = eqx.field(static=True, default=0.9)

    def __check_init__(self):
        _require_range("ScatteredPixels", self.least, self.most)

    def check(self, shape: Shape) -> None:
        return

    def draw(self, key: Key[Array, ""], shape: Shape) -> Bool[Array, "..."]:
        fraction, pixels = jr.split(key)
        missing = jr.uniform(fraction, (), jnp.float32, self.least, self.most)
        return _to_channels(jr.uniform(pixels, shape[:2], jnp.float32) >= missing, shape)


class Block(AbstractMasks):
    """A rectangle at a random place is missing. Its height and width are uniform fractions of those of the image.

    The fractions lie in [least, most].

    Raises: `ValueError` unless `0 <= least <= most <= 1`.
    """

    least: int | float = eqx.field(static=True, default=0.25)
    most: int | float = eqx.field(static=True, default=0.75)

    def __check_init__(self):
        _require_range("Block", self.least, self.most)

    def check(self, shape: Shape) -> None:
        _require_plane("Block", shape)

    def draw(self, key: Key[Array, ""], shape: Shape) -> Bool[Array, "..."]:
        inside = [self._interval(jr.fold_in(key, axis), shape[axis]) for axis in range(2)]
        return _to_channels(~(inside[0][:, None] & inside[1][None, :]), shape)

    def _interval(self, key: Key[Array, ""], size: int) -> Bool[Array, " size"]:
        """An interval of `size` pixels, of random length and place."""
        length_key, place_key = jr.split(key)
        shortest, longest = round(self.least * size), round(self.most * size)
        length = jr.randint(length_key, (), shortest, longest + 1)
        first = jr.randint(place_key, (), 0, size - length + 1)
        places = jnp.arange(size)
        return (places >= first) & (places < first + length)


class Half(AbstractMasks):
    """One half is missing: the upper, lower, left or right one, each with probability 1/4.

    Of an odd number of rows or columns the middle one is in the lower or right half.
    """

    def check(self, shape: Shape) -> None:
        _require_plane("Half", shape)

    def draw(self, key: Key[Array, ""], shape: Shape) -> Bool[Array, "..."]:
        rows, columns = (jnp.arange(n) >= n // 2 for n in shape[:2])
        plane = shape[:2]
        lower, right = jnp.broadcast_to(rows[:, None], plane), jnp.broadcast_to(columns[None, :], plane)
        halves = jnp.stack([lower, ~lower, right, ~right])
        return _to_channels(halves[jr.randint(key, (), 0, len(halves))], shape)


class Mixture(AbstractMasks):
    """A mask of one of several distributions, chosen for each image.

    Args:
        parts: the distributions.
        weights: their probabilities up to a common factor; equal if None.
    Raises: `ValueError` unless there is a positive weight for each of one or more distributions.
    """

    parts: tuple[AbstractMasks, ...]
    weights: tuple[float, ...] | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        parts = self.parts if isinstance(self.parts, tuple) else ()
        for part in parts:
            require_kind("Mixture.parts", part, AbstractMasks, "(ScatteredPixels(), Half())")
        valid = self.weights is None or (
            len(self.weights) == len(parts) and all(0 < weight < math.inf for weight in self.weights)
        )
        if not parts or not valid:
            raise ValueError(
                f"`Mixture(parts={self.parts!r:.80}, weights={self.weights})` needs a tuple of masks, and a positive "
                "weight for each, or no weights."
            )

    def check(self, shape: Shape) -> None:
        for part in self.parts:
            part.check(shape)

    def draw(self, key: Key[Array, ""], shape: Shape) -> Bool[Array, "..."]:
        choice, mask = jr.split(key)
        weights = jnp.asarray(self.weights or (1.0,) * len(self.parts), jnp.float32)
        index = jr.categorical(choice, jnp.log(weights))
        return jax.lax.switch(index, [lambda k, part=part: part.draw(k, shape) for part in self.parts], mask)


class AbstractGuess(eqx.Module):
    """The pixels from which relaxing starts where they are missing."""

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], shape: Shape) -> Float[Array, "..."]:
        """A whole image of `shape`; its known pixels are not used."""


class UniformNoise(AbstractGuess):
    """Pixels uniform in an interval within [0, 1], which is drawn for each image: dark, bright and noisy starts."""

    def draw(self, key: Key[Array, ""], shape: Shape) -> Float[Array, "..."]:
        ends, pixels = jr.split(key)
        low, high = jnp.sort(jr.uniform(ends, (2,), jnp.float32))
        return jr.uniform(pixels, shape, jnp.float32, low, high)


class FixedGuess(AbstractGuess):
    """The same pixels for all images: `FixedGuess(0.0)` is black, `FixedGuess(mean_image)` the mean image."""

    pixels: Float[Array, "..."] = eqx.field(converter=jnp.asarray)

    def draw(self, key: Key[Array, ""], shape: Shape) -> Float[Array, "..."]:
        return jnp.broadcast_to(self.pixels, shape) if self.pixels.ndim == 0 else self.pixels.reshape(shape)


def _require_range(name: str, least: int | float, most: int | float) -> None:
    for field, value in (("least", least), ("most", most)):
        require_number(f"{name}.{field}", value, lambda x: 0 <= x <= 1, "in [0, 1]")
    if least > most:
        raise ValueError(f"`{name}(least={least}, most={most})` must have `least <= most`.")


def _require_plane(name: str, shape: Shape) -> None:
    """Raises: `ValueError` for images without rows and columns."""
    if len(shape) < 2 or min(shape[:2]) < 2:
        raise ValueError(
            f"`{name}()` needs images of (height, width) or (height, width, channels), got shape {shape}; give "
            "`Completion(image_shape=...)`."
        )


def _to_channels(mask: Bool[Array, "..."], shape: Shape) -> Bool[Array, "..."]:
    """The mask of (height, width) for all channels of `shape`."""
    return jnp.broadcast_to(mask.reshape(*mask.shape, *(1 for _ in shape[2:])), shape)
