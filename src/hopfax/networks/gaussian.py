"""A Gaussian as a HAM: the network that fills in missing values by the conditional mean, and the layers above it."""

from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from .._internal.checks import require_integer, require_key, require_number
from ..lagrangians import AbstractLagrangian, Identity, ReLU
from .ham import HAM
from .layers import Layer
from .synapses import AbstractSynapse, Bias, Dense


def gaussian(
    mean: Float[ArrayLike, " size"],
    covariance: Float[ArrayLike, "size size"],
    *,
    ridge: float,
    factors: int | None = None,
    visible: AbstractLagrangian | None = None,
    hidden: Sequence[int] = (),
    hidden_std: float = 0.001,
    key: Key[Array, ""] | None = None,
) -> HAM:
    """Linear layers "factors" and "visible", whose energy is that of a Gaussian with this mean and covariance.

    At its least given the visible activations `g`, the energy is `½ ε (g - μ)ᵀ (Σ + ε I)⁻¹ (g - μ)` and a constant,
    with the ridge `ε`: each factor has the weights `u √(λ / (λ + ε))`, for an eigenvector `u` of `Σ` with eigenvalue
    `λ`. So with some neurons clamped, the equilibrium is the conditional mean of the others. The graph has two colours,
    though the energy joins every visible neuron to every other one. With fewer `factors` the largest eigenvalues are
    kept, as in probabilistic PCA. Activations of `HardSigmoid` neurons also obey `0 <= g <= 1`.

    `hidden` adds layers of rectified neurons, "hidden" or "hidden1", "hidden2", ... in a chain above the visible layer.
    Their first weights are small, so that training starts from the Gaussian.

    Args:
        mean, covariance: `μ` and `Σ`, such as those of the training images.
        ridge: `ε`, positive; a small one is more exact, and takes more sweeps to relax.
        factors: how many; all, if None.
        visible: the Lagrangian of the visible layer; `Identity()` if None.
        hidden: the sizes of the hidden layers, from the visible layer upwards.
        hidden_std: standard deviation of their first weights.
        key: for these weights; needed where there are hidden layers.
    Raises: `ValueError` for shapes that do not fit, a covariance that is not symmetric and positive semidefinite, or
        numbers out of range.
    Source: [tipping1999], eq. 4 for the model; the form as a HAM is derived in this project.
    """
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    values, vectors = _spectrum(mean, covariance)
    require_number("gaussian.ridge", ridge, lambda x: 0 < x < np.inf, "a positive number, such as 0.01")
    count = len(mean) if factors is None else factors
    require_integer("gaussian.factors", count, 1)
    values, vectors = values[-count:], vectors[:, -count:]
    weight = vectors * np.sqrt(values / (values + ridge))
    bias = mean - weight @ (weight.T @ mean)
    layers = {"factors": Layer(weight.shape[1], Identity())}
    synapses: list[AbstractSynapse] = [
        Dense(("factors", "visible"), jnp.asarray(weight.T, jnp.float32)),
        Bias("visible", jnp.asarray(bias, jnp.float32)),
    ]
    visible_layer = Layer(len(mean), Identity() if visible is None else visible)
    added, joints = _hidden(hidden, len(mean), hidden_std, key)
    return HAM({**layers, **added, "visible": visible_layer}, [*synapses, *joints])


def _hidden(
    sizes: Sequence[int], visible: int, std: float, key: Key[Array, ""] | None
) -> tuple[dict[str, Layer], list[AbstractSynapse]]:
    """A chain of rectified layers above the visible one: the layers from the top, and their synapses and biases."""
    if not sizes:
        return {}, []
    require_key("gaussian", key)
    require_number("gaussian.hidden_std", std, lambda x: 0 < x < np.inf, "positive")
    names = ["hidden"] if len(sizes) == 1 else [f"hidden{i + 1}" for i in range(len(sizes))]
    below = [("visible", visible), *zip(names, sizes, strict=True)]
    synapses: list[AbstractSynapse] = []
    for name, size, (lower, lower_size), one in zip(
        names, sizes, below[:-1], jr.split(key, len(sizes)), strict=True
    ):
        synapses.append(Dense((name, lower), std * jr.normal(one, (size, lower_size), jnp.float32)))
        synapses.append(Bias(name, jnp.zeros(size, jnp.float32)))
    layers = {name: Layer(size, ReLU()) for name, size in zip(names, sizes, strict=True)}
    return dict(reversed(layers.items())), synapses


def _spectrum(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the covariance. Raises: `ValueError` where it is none of this mean."""
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ValueError(
            f"`covariance` has shape {covariance.shape}, but the mean has {mean.shape}; give a vector of n numbers and "
            "a matrix of n by n, such as `images.mean(axis=0)` and `np.cov(images.T)`."
        )
    finite = np.isfinite(mean).all() and np.isfinite(covariance).all()
    scale = np.abs(covariance).max() if finite else np.nan
    if not finite or not np.allclose(covariance, covariance.T, atol=1e-6 * scale):
        raise ValueError("`covariance` must be finite and symmetric; use `np.cov(images.T)`.")
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-5 * scale:
        raise ValueError(
            f"`covariance` has the negative eigenvalue {values[0]:.3g}; use that of samples, `np.cov(images.T)`."
        )
    return np.maximum(values, 0), vectors
