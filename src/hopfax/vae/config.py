"""The settings of a VAE and its training, all of them numbers and names that JSON can hold."""

import dataclasses
import math
from typing import Any

from .._internal.checks import require_integer, require_number
from ..data import Dataset
from ..lagrangians import AbstractLagrangian, Sigmoid, Tanh
from ..method import Method
from ..solvers.anderson import Anderson
from ..solvers.plain import Picard
from .equilibrium_propagation import EPGradient
from .likelihoods import AbstractLikelihood, Gaussian, OffsetBernoulli
from .loss import AbstractLossGradient, ImplicitGradient
from .posterior import AbstractVariance, FixedVariance, LearnedVariance

MODELS = ("tied", "untied", "tied-dense", "dense", "feedforward")
POSITIVE = ("pixel_variance", "visible_slope", "image_scale", "hidden_slope", "latent_gain")
POSITIVE += ("learning_rate", "visible_rate_factor", "rtol")
NONNEGATIVE = ("kl_weight", "kl_warmup", "final_learning_rate_fraction")
OPTIONAL = (
    ("beta", lambda x: 0 < x < 1, "in (0, 1), or None to have it chosen"),
    ("sigma", lambda x: x > 0, "positive, or None to learn it"),
    ("max_gradient_norm", lambda x: x > 0, "positive, or None for no limit"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """A VAE and how it is trained.

    Attributes:
        model: "tied", "untied", "dense", "tied-dense" or "feedforward".
        pixels, hidden, latents: numbers of neurons. A dense network has two hidden layers of half of `hidden` each.
        hidden_layers: hidden layers of each of the two perceptrons, with `hidden` neurons each. 1 for other models.
        bernoulli: draw each pixel 0 or 1 at each step (stochastic binarisation), with the likelihood
            `OffsetBernoulli`; otherwise grey pixels with the likelihood `Gaussian`.
        pixel_variance: variance of the `Gaussian`.
        visible_slope: slope of the likelihood.
        image_scale: of `OffsetBernoulli`, how strongly the image is clamped.
        hidden_slope, hidden_centre: hidden neurons `sigmoid(slope (s - centre))`. A centre above the papers' 0.5
            makes them sparser. None for `tanh(slope s)`.
        latent_gain: gain of the latent neurons, see `hopfax.lagrangians.Linear`.
        start_at_mean: initialise the networks at the mean training image, see `hopfax.vae.initialise`. It needs
            `bernoulli`, and does not change the feed-forward model.
        sigma: standard deviation of the posterior; None if it is learned.
        kl_weight, kl_warmup: the weight of the KL term, 1 for the evidence lower bound, and the number of epochs in
            which it rises from zero.
        equilibrium_propagation: train by equilibrium propagation with nudge `beta`, None to have it chosen; otherwise
            by implicit differentiation. The feed-forward model is always trained by backpropagation.
        learning_rate, final_learning_rate_fraction: the initial rate, and the fraction of it to which it falls by a
            cosine until the last epoch.
        visible_rate_factor: times the learning rate, for the synapses of the visible layer. With `OffsetBernoulli`
            their effect is their weight times `visible_slope` or `image_scale`, so they need smaller steps.
        max_gradient_norm: gradients with a larger norm are scaled down to it. None for no limit.
        muon_iterations: Newton-Schulz iterations of Muon [jordan2024], which makes the step of each weight matrix
            orthogonal: all singular directions are learned at the same rate. 0 for Adam, which biases always have.
        anderson: relax by Anderson acceleration. It is faster and finds equilibria more exactly where the decoder is
            near its critical coupling, late in training. Picard iteration compiles in a third of the time.
        rtol, max_steps: of every relaxation.
    Raises: `ValueError` for an unknown model, or a number outside its range.
    """

    model: str = "tied"
    pixels: int = 64
    hidden: int = 128
    hidden_layers: int = 1
    latents: int = 8
    bernoulli: bool = False
    pixel_variance: float = 0.015
    visible_slope: float = 4.0
    image_scale: float = 2.5
    hidden_slope: float = 2.0
    hidden_centre: float | None = 1.0
    latent_gain: float = 1.0
    start_at_mean: bool = False
    sigma: float | None = 0.12
    kl_weight: float = 1.0
    kl_warmup: float = 0.0
    equilibrium_propagation: bool = True
    beta: float | None = None
    learning_rate: float = 5e-3
    final_learning_rate_fraction: float = 0.02
    visible_rate_factor: float = 1.0
    max_gradient_norm: float | None = None
    muon_iterations: int = 0
    batch_size: int = 10
    epochs: int = 20
    seed: int = 0
    anderson: bool = False
    rtol: float = 1e-4
    max_steps: int = 100

    def __post_init__(self):
        if self.model not in MODELS:
            raise ValueError(f"unknown model {self.model!r}; choose one of {', '.join(MODELS)}.")
        for name in ("pixels", "hidden", "hidden_layers", "latents", "batch_size", "epochs", "max_steps"):
            require_integer(f"VAEConfig.{name}", getattr(self, name), 1)
        if self.hidden_layers > 1 and self.model != "feedforward":
            raise ValueError(
                f"`VAEConfig(hidden_layers={self.hidden_layers})` needs `model='feedforward'`, got {self.model!r}."
            )
        for name in ("seed", "muon_iterations"):
            require_integer(f"VAEConfig.{name}", getattr(self, name), 0)
        finite = "a number, positive and finite"
        for name in POSITIVE:
            require_number(f"VAEConfig.{name}", getattr(self, name), lambda x: 0 < x < math.inf, finite)
        for name in NONNEGATIVE:
            require_number(f"VAEConfig.{name}", getattr(self, name), lambda x: x >= 0, "a number, 0 or more")
        for name, holds, rule in OPTIONAL:
            if (value := getattr(self, name)) is not None:
                require_number(f"VAEConfig.{name}", value, holds, rule)

    def json(self) -> dict[str, Any]:
        """The settings by name."""
        return dataclasses.asdict(self)

    def likelihood(self) -> AbstractLikelihood:
        if self.bernoulli:
            return OffsetBernoulli(self.visible_slope, self.image_scale)
        return Gaussian(self.pixel_variance, slope=self.visible_slope)

    def hidden_neurons(self) -> AbstractLagrangian:
        if self.hidden_centre is None:
            return Tanh(self.hidden_slope)
        return Sigmoid(self.hidden_slope, self.hidden_centre)

    def variance(self) -> AbstractVariance:
        return LearnedVariance() if self.sigma is None else FixedVariance(self.sigma)

    def method(self) -> Method:
        solver = Anderson() if self.anderson else Picard()
        return Method(solver=solver, rtol=self.rtol, atol=0.0, max_steps=self.max_steps)

    def gradient(self) -> AbstractLossGradient:
        by_nudging = self.equilibrium_propagation and self.model != "feedforward"
        return EPGradient(self.beta) if by_nudging else ImplicitGradient()


def preset(dataset: Dataset, model: str = "tied") -> VAEConfig:
    """The settings for a data set: those of the digits for small images, those of MNIST for larger images."""
    pixels = dataset.train_images.shape[1]
    return dataclasses.replace(DIGITS_PRESET if pixels <= SMALL else MNIST_PRESET, pixels=pixels, model=model)


SMALL = 256  # pixels up to which images are treated like the digits
DIGITS_PRESET = VAEConfig()  # chosen on a validation split of the digits
MNIST_PRESET = (
    VAEConfig(  # chosen on the last 5,000 training images of MNIST, see experiments/vandermeersch2023
        pixels=784,
        hidden=600,
        latents=50,
        bernoulli=True,
        visible_slope=16.0,
        image_scale=10.0,
        hidden_slope=1.0,
        hidden_centre=None,
        latent_gain=0.3,
        start_at_mean=True,
        sigma=None,
        kl_warmup=0.5,
        learning_rate=3e-3,
        visible_rate_factor=0.3,
        max_gradient_norm=150.0,
        muon_iterations=3,
        batch_size=100,
        anderson=True,
    )
)
