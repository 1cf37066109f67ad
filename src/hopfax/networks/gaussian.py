"""Gaussians and their mixtures as HAMs, which fill in missing values, and a hidden layer beside them."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from .._internal.checks import require_integer, require_key, require_number
from ..lagrangians import AbstractLagrangian, Identity, Linear, MixtureOfFactors, ReLU
from .ham import HAM
from .layers import Layer
from .synapses import AbstractSynapse, Bias, Dense


def gaussian(
    mean: Float[ArrayLike, " size"],
    covariance: Float[ArrayLike, "size size"],
    *,
    ridge: float,
    factors: int | None = None,
    factor_gain: float = 1.0,
    visible: AbstractLagrangian | None = None,
) -> HAM:
    """Linear layers "factors" and "visible", whose energy is that of a Gaussian with this mean and covariance.

    Minimised over the factors at visible activations `g`, the energy is `½ ε (g - μ)ᵀ (Σ + ε I)⁻¹ (g - μ)` plus a
    constant, with the ridge `ε`: a factor of gain 1 has the weights `u √(λ / (λ + ε))`, for an eigenvector `u` of `Σ`
    with eigenvalue `λ`. So with some neurons clamped, the equilibrium is the conditional mean of the others. The graph
    has two colours, though the energy joins every visible neuron to every other one. With fewer `factors` the largest
    eigenvalues are kept, as in probabilistic PCA. Activations of `HardSigmoid` neurons also obey `0 <= g <= 1`.

    Args:
        mean, covariance: `μ` and `Σ`, such as those of the training images.
        ridge: `ε`, positive; a small one is more exact, and takes more sweeps to relax.
        factors: how many; all, if None.
        factor_gain: the slope of their activation, positive, on which no equilibrium depends: weights are larger by
            `1 / √gain`. A step of an optimiser then changes them less, relative to their size.
        visible: the Lagrangian of the visible layer; `Identity()` if None.
    Raises: `ValueError` for shapes that do not fit, a covariance that is not symmetric and positive semidefinite, or
        numbers out of range.
    Source: [tipping1999], eq. 4 for the model; the form as a HAM is derived in this project.
    """
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    require_number("gaussian.ridge", ridge, lambda x: 0 < x < np.inf, "a positive number, such as 0.01")
    require_number("gaussian.factor_gain", factor_gain, lambda x: 0 < x < np.inf, "positive")
    if factors is not None:
        require_integer("gaussian.factors", factors, 1)
    (bias, *weight), _ = _component(mean, covariance, ridge, factors)
    synapses: list[AbstractSynapse] = [
        Dense(("factors", "visible"), jnp.asarray(np.stack(weight) / np.sqrt(factor_gain), jnp.float32)),
        Bias("visible", jnp.asarray(bias, jnp.float32)),
    ]
    layers = {
        "factors": Layer(len(weight), Linear(factor_gain)),
        "visible": Layer(len(mean), Identity() if visible is None else visible),
    }
    return HAM(layers, synapses)


def gaussian_mixture(
    means: Float[ArrayLike, "components size"],
    covariances: Float[ArrayLike, "components size size"],
    weights: Float[ArrayLike, " components"],
    *,
    ridge: float,
    factors: int | None = None,
    gain: float = 1.0,
    temperature: float = 1.0,
    visible: AbstractLagrangian | None = None,
) -> HAM:
    """Layers "components" and "visible", whose energy is that of a mixture of Gaussians.

    Minimised over the components at visible activations `g`, the energy is
    `-ε T log Σ_k (w_k N(g; μ_k, C_k))^(1/T)` plus a constant, with `C_k = Σ_k + ε I`, the ridge `ε` and the temperature
    `T`. So it has a valley for each component, and with some neurons clamped, the others go to the most probable
    values. A low temperature has one equilibrium for each component that the known neurons allow; at a high one they
    join, and each precision counts by its probability. With one component this is `gaussian`.

    Args:
        means, covariances, weights: `μ_k`, `Σ_k` and `w_k`, such as those of the clusters of images.
        ridge: `ε`, positive; a small one is more exact, and takes more sweeps to relax.
        factors: how many eigenvectors of each covariance, those of the largest eigenvalues; all, if None.
        gain: of `hopfax.lagrangians.MixtureOfFactors`, positive, on which no equilibrium depends: synapses are larger
            by `1 / gain`. A step of an optimiser then changes them less, relative to their size.
        temperature: `T`, positive.
        visible: the Lagrangian of the visible layer; `Identity()` if None.
    Raises: `ValueError` for shapes that do not fit, weights that are not positive, a covariance that is not symmetric
        and positive semidefinite, or numbers out of range.
    Source: [ghahramani1996], with one variance for the noise as in [tipping1999]; the form as a HAM is derived in this
        project.
    """
    means, covariances, weights = (np.asarray(array, np.float64) for array in (means, covariances, weights))
    for name, value in (("ridge", ridge), ("gain", gain), ("temperature", temperature)):
        require_number(f"gaussian_mixture.{name}", value, lambda x: 0 < x < np.inf, "positive")
    if factors is not None:
        require_integer("gaussian_mixture.factors", factors, 1)
    _require_mixture(means, covariances, weights)
    components = [
        _component(mean, covariance, ridge, factors)
        for mean, covariance in zip(means, covariances, strict=True)
    ]
    rows = np.stack([rows for rows, _ in components])
    offsets = np.array([offset for _, offset in components]) - ridge * np.log(weights)
    scores = np.zeros(rows.shape[:2])
    scores[:, 0] = np.mean(offsets) - offsets
    layers = {
        "components": Layer(scores.shape, MixtureOfFactors(1 / (ridge * temperature), gain)),
        "visible": Layer(means.shape[1], Identity() if visible is None else visible),
    }
    synapses: list[AbstractSynapse] = [
        Dense(("components", "visible"), jnp.asarray(np.concatenate(rows) / gain, jnp.float32)),
        Bias("components", jnp.asarray(scores / gain, jnp.float32)),
        Bias("visible", jnp.zeros(means.shape[1], jnp.float32)),
    ]
    return HAM(layers, synapses)


def with_hidden(
    model: HAM,
    size: int,
    *,
    layer: str = "visible",
    gain: float = 0.01,
    std: float = 0.03,
    key: Key[Array, ""],
) -> HAM:
    """The model with one more layer, "hidden", of rectified neurons that are joined to all neurons of `layer`.

    With a small gain they hardly feed back at first, so that training starts from the equilibria of `model`; yet their
    states are large enough that none falls silent.

    Args:
        model: without a layer "hidden".
        size: how many neurons.
        layer: the layer that they are joined to.
        gain: the slope of their activation, positive.
        std: standard deviation of their initial weights, positive; biases begin at 0.
        key: for the weights.
    Raises: `ValueError` for an unknown layer, a model that has hidden neurons, or numbers out of range.
    """
    require_key("with_hidden", key)
    require_integer("with_hidden.size", size, 1)
    for name, value in (("gain", gain), ("std", std)):
        require_number(f"with_hidden.{name}", value, lambda x: 0 < x < np.inf, "positive")
    if layer not in model.layers or "hidden" in model.layers:
        raise ValueError(
            f"`with_hidden(layer={layer!r})` must name a layer of a model without a layer 'hidden'; the layers are "
            f"{list(model.order)}."
        )
    weight = std * jr.normal(key, (size, model.layers[layer].size), jnp.float32)
    added = {
        "hidden-" + layer: Dense(("hidden", layer), weight),
        "hidden": Bias("hidden", jnp.zeros(size, jnp.float32)),
    }
    return HAM({"hidden": Layer(size, gain * ReLU()), **model.layers}, {**model.synapses, **added})


def _spectrum(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the covariance. Raises: `ValueError` where it does not fit the mean."""
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


def _component(
    mean: np.ndarray, covariance: np.ndarray, ridge: float, factors: int | None
) -> tuple[np.ndarray, float]:
    """Rows `b, w_1, w_2, ...` and an offset `c` of a Gaussian, with a row for each factor.

    The energy of `g` in it, `ε` times the negative logarithm of its density, is
    `½ |g|² - b·g - ½ Σ_j (w_j·g)² + c` plus a constant that is the same for all components.
    """
    values, vectors = _spectrum(mean, covariance)
    count = len(mean) if factors is None else min(factors, len(mean))
    values, vectors = values[-count:], vectors[:, -count:]
    weight = vectors * np.sqrt(values / (values + ridge))
    bias = mean - weight @ (weight.T @ mean)
    # Of the determinant, the part beside the factors is the same for all components.
    return np.vstack([bias, weight.T]), mean @ bias / 2 + ridge * np.sum(np.log(values + ridge)) / 2


def _require_mixture(means: np.ndarray, covariances: np.ndarray, weights: np.ndarray) -> None:
    """Raises: `ValueError` where the three do not describe as many Gaussians of one size."""
    count, size = means.shape if means.ndim == 2 else (0, 0)
    if not count or covariances.shape != (count, size, size) or weights.shape != (count,):
        raise ValueError(
            f"`means` have shape {means.shape}, `covariances` {covariances.shape} and `weights` {weights.shape}; give "
            "k vectors of n numbers, k matrices of n by n, and k numbers."
        )
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(
            f"`weights={weights.tolist()}` must be positive and finite; leave empty components out."
        )
