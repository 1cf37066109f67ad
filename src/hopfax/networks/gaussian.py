"""A Gaussian as a HAM: the network that fills in missing values by the conditional mean, and the layers above it."""

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
    hidden: int = 0,
    hidden_gain: float = 0.01,
    hidden_std: float = 0.03,
    key: Key[Array, ""] | None = None,
) -> HAM:
    """Linear layers "factors" and "visible", whose energy is that of a Gaussian with this mean and covariance.

    At its least given the visible activations `g`, the energy is `½ ε (g - μ)ᵀ (Σ + ε I)⁻¹ (g - μ)` and a constant,
    with the ridge `ε`: each factor has the weights `u √(λ / (λ + ε))`, for an eigenvector `u` of `Σ` with eigenvalue
    `λ`. So with some neurons clamped, the equilibrium is the conditional mean of the others. The graph has two colours,
    though the energy joins every visible neuron to every other one. With fewer `factors` the largest eigenvalues are
    kept, as in probabilistic PCA. Activations of `HardSigmoid` neurons also obey `0 <= g <= 1`.

    `hidden` adds a layer "hidden" of rectified neurons. With a small gain they hardly feed back at first, so that
    training starts from the Gaussian, and yet their states are large enough that no neuron falls silent.

    Args:
        mean, covariance: `μ` and `Σ`, such as those of the training images.
        ridge: `ε`, positive; a small one is more exact, and takes more sweeps to relax.
        factors: how many; all, if None.
        visible: the Lagrangian of the visible layer; `Identity()` if None.
        hidden: how many rectified neurons; 0 for none.
        hidden_gain: the slope of their activation, positive.
        hidden_std: standard deviation of their first weights.
        key: for these weights; needed where there are hidden neurons.
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
    require_integer("gaussian.hidden", hidden, 0)
    if hidden:
        layers["hidden"] = _rectified(hidden, hidden_gain)
        synapses += _first_weights(hidden, len(mean), hidden_std, key)
    layers["visible"] = Layer(len(mean), Identity() if visible is None else visible)
    return HAM(layers, synapses)


def _rectified(size: int, gain: float) -> Layer:
    require_number("gaussian.hidden_gain", gain, lambda x: 0 < x < np.inf, "positive")
    return Layer(size, gain * ReLU())


def _first_weights(
    hidden: int, visible: int, std: float, key: Key[Array, ""] | None
) -> list[AbstractSynapse]:
    require_key("gaussian", key)
    require_number("gaussian.hidden_std", std, lambda x: 0 < x < np.inf, "positive")
    weight = std * jr.normal(key, (hidden, visible), jnp.float32)
    return [Dense(("hidden", "visible"), weight), Bias("hidden", jnp.zeros(hidden, jnp.float32))]


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
