"""Networks from which training to complete images starts: a Gaussian of the images, or a mixture of Gaussians."""

import abc
import warnings

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from .._internal.checks import require_integer, require_number
from ..lagrangians import HardSigmoid
from ..networks import HAM
from ..networks.gaussian import gaussian, gaussian_mixture, with_hidden

Images = Float[np.ndarray, "images pixels"]


class AbstractInitialisation(eqx.Module):
    """How an untrained network is made of the training images. Its visible neurons are clipped to [0, 1]."""

    @abc.abstractmethod
    def check(self, pixels: int, hidden: int) -> None:
        """Raises: `ValueError` where a network for so many pixels cannot have so many hidden neurons."""

    @abc.abstractmethod
    def __call__(self, images: Images, hidden: int, *, key: Key[Array, ""]) -> HAM:
        """The untrained network with so many hidden neurons."""


class FromGaussian(AbstractInitialisation):
    """The Gaussian of the images, and beside it hidden neurons that hardly feed back at first.

    Args:
        factors: linear neurons of the Gaussian, see `hopfax.networks.gaussian`; at most as many as pixels.
        factor_gain: the slope of their activation; small, as the Gaussian is sensitive to small changes of its weights.
        ridge: of its covariance.
        gain, std: of the hidden neurons, see `hopfax.networks.with_hidden`.
    Raises: `ValueError` for a number out of range.
    """

    factors: int = 512
    factor_gain: float = 1e-4
    ridge: float = 0.005
    gain: float = 0.01
    std: float = 0.03

    def __check_init__(self):
        require_integer("FromGaussian.factors", self.factors, 1)
        _require_positive(self, "factor_gain", "ridge", "gain", "std")

    def check(self, pixels: int, hidden: int) -> None:
        return

    def __call__(self, images: Images, hidden: int, *, key: Key[Array, ""]) -> HAM:
        images = images.astype(np.float64)
        model = gaussian(
            images.mean(axis=0),
            np.cov(images.T),
            ridge=self.ridge,
            factors=min(self.factors, images.shape[1]),
            factor_gain=self.factor_gain,
            visible=HardSigmoid(),
        )
        return with_hidden(model, hidden, gain=self.gain, std=self.std, key=key)


class FromMixture(AbstractInitialisation):
    """A mixture of Gaussians, one for each cluster of the images; all hidden neurons belong to it.

    A component has the mean and covariance of a cluster of k-means, drawn towards the covariance of all images, and
    `hidden / components - 1` factors (`hopfax.networks.gaussian_mixture`).

    Args:
        components: how many.
        ridge: of the covariances.
        gain: small, as the mixture is sensitive to small changes of its weights.
        temperature: at a low one a component wins by a small lead, and the start of the missing pixels decides which.
        shrinkage: how many images the covariance of all images counts for, beside those of a cluster.
    Raises: `ValueError` for a number out of range.
    """

    components: int = 10
    ridge: float = 0.008
    gain: float = 0.01
    temperature: float = 12.0
    shrinkage: float = 50.0

    def __check_init__(self):
        require_integer("FromMixture.components", self.components, 1)
        _require_positive(self, "ridge", "gain", "temperature", "shrinkage")

    def check(self, pixels: int, hidden: int) -> None:
        factors, rest = divmod(hidden, self.components)
        if rest or not 1 <= factors - 1 <= pixels:
            raise ValueError(
                f"{hidden} hidden neurons cannot be divided among `FromMixture(components={self.components})`; each "
                f"component has one and its factors, so give {self.components} * (1 + factors), with 1 to {pixels} "
                "factors, as many as pixels."
            )

    def __call__(self, images: Images, hidden: int, *, key: Key[Array, ""]) -> HAM:
        self.check(images.shape[1], hidden)
        return gaussian_mixture(
            *clusters(images, self.components, self.shrinkage, key=key),
            ridge=self.ridge,
            factors=hidden // self.components - 1,
            gain=self.gain,
            temperature=self.temperature,
            visible=HardSigmoid(),
        )


def clusters(
    images: Images, count: int, shrinkage: float, *, key: Key[Array, ""]
) -> tuple[
    Float[np.ndarray, "clusters pixels"],
    Float[np.ndarray, "clusters pixels pixels"],
    Float[np.ndarray, " clusters"],
]:
    """Mean, covariance and weight of each cluster of k-means.

    The covariance is `(n S_k + shrinkage S) / (n + shrinkage)`, with those of the `n` images of a cluster and of all.
    The weight is `n + 1`, positive for an empty cluster too.
    Raises: `ValueError` where there are fewer different images than clusters.
    """
    from scipy.cluster.vq import kmeans2  # slow to import, and needed here only

    different = len({image.tobytes() for image in images})
    if different < count:
        raise ValueError(
            f"{different} different images are too few for {count} components; take fewer components, or more images."
        )
    images = images.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an empty cluster, which keeps its centre
        means, labels = kmeans2(images, count, iter=20, minit="++", rng=int(jr.bits(key, (), "uint32")))
    shared, sizes = np.cov(images.T), np.bincount(labels, minlength=count).astype(np.float64)
    covariances = []
    for index, (mean, size) in enumerate(zip(means, sizes, strict=True)):
        centred = images[labels == index] - mean
        covariances.append((centred.T @ centred + shrinkage * shared) / (size + shrinkage))
    return means, np.stack(covariances), sizes + 1


def _require_positive(module: AbstractInitialisation, *names: str) -> None:
    """Raises: `ValueError` for an attribute that is not positive and finite."""
    for name in names:
        label = f"{type(module).__name__}.{name}"
        require_number(label, getattr(module, name), lambda x: 0 < x < np.inf, "positive and finite")
