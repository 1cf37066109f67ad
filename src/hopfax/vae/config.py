"""Settings of one VAE and its training; all of them numbers and names, so that they can be saved as JSON."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax.random as jr
import optax
from jaxtyping import Array, Key

from .._internal.checks import require_number, require_integer
from ..data import Dataset
from ..lagrangians import AbstractLagrangian, Sigmoid, Tanh
from ..method import Method
from ..solvers.picard import Picard
from .equilibrium_propagation import EPGradient
from .feedforward import perceptrons
from .likelihoods import AbstractLikelihood, Gaussian, OffsetBernoulli
from .loss import AbstractLossGradient, ImplicitGradient
from .model import AbstractVAE, HopfieldVAE
from .networks import Tied, Untied, dense, layered
from .optimiser import optimiser
from .posterior import AbstractVariance, FixedVariance, LearnedVariance


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """What is trained, and how.

    Attributes:
        model: tied, untied, dense, tied-dense or feedforward.
        hidden, latents: numbers of neurons; a dense network has two hidden blocks of half of `hidden` each.
        bernoulli: pixels are drawn 0 or 1 anew for each step (stochastic binarisation); else Gaussian, of
            `variance`.
        slope: of the visible neurons, see `Gaussian` and `OffsetBernoulli`; `shown` is of `OffsetBernoulli` alone.
        hidden_slope, hidden_centre: of the hidden neurons, `sigmoid(slope (s - centre))`; a centre above that of the
            papers, 0.5, makes them sparser. None: `tanh(slope s)`, as far above zero as below.
        gain: of the latents, see `hopfax.lagrangians.elementwise.Linear`.
        centred: start at the mean training image, see `hopfax.vae.initialise.at_mean`; needs drawn pixels, and is
            nothing to the feed-forward model.
        sigma: standard deviation of the posterior; None if it is learned.
        kl, warmup: the weight of the KL term, 1 for the evidence lower bound, and the epochs in which it rises to
            that from zero.
        visible_rate: times the learning rate, for synapses of the visible layer. Those of `OffsetBernoulli` act by `slope` and
            `shown` times their weight, so they need smaller steps than the others.
        clip: the largest norm of a step's gradient; a longer one is cut to it. None: any.
        orthogonal: Newton-Schulz iterations that make each weight matrix's step orthogonal (Muon, [jordan2024]);
            all singular directions of a matrix are then learned at one pace, and none outgrows the others. 0 for Adam,
            which biases always have.
        propagation: train by equilibrium propagation with nudge `beta`; else by implicit differentiation. The
            feed-forward model is always trained by backpropagation.
        learning_rate: at the start, falling by a cosine to `final` times that after the last epoch.
        rtol, max_steps: of every relaxing.
    """

    model: str = "tied"
    pixels: int = 64
    hidden: int = 128
    latents: int = 8
    bernoulli: bool = False
    variance: float = 0.015
    slope: float = 4.0
    shown: float = 2.5
    hidden_slope: float = 2.0
    hidden_centre: float | None = 1.0
    gain: float = 1.0
    centred: bool = False
    sigma: float | None = 0.12
    kl: float = 1.0
    warmup: float = 0.0
    propagation: bool = True
    beta: float = 0.01
    learning_rate: float = 5e-3
    final: float = 0.02
    visible_rate: float = 1.0
    clip: float | None = None
    orthogonal: int = 0
    batch_size: int = 10
    epochs: int = 20
    seed: int = 0
    rtol: float = 1e-4
    max_steps: int = 100

    def __post_init__(self):
        if self.model not in MODELS:
            raise ValueError(f"unknown model {self.model!r}; choose one of {', '.join(MODELS)}.")
        for name in ("pixels", "hidden", "latents", "batch_size", "epochs", "max_steps"):
            require_integer(f"VAEConfig.{name}", getattr(self, name), 1)
        for name in ("seed", "orthogonal"):
            require_integer(f"VAEConfig.{name}", getattr(self, name), 0)
        for name in ("variance", "slope", "hidden_slope", "learning_rate", "visible_rate", "rtol", "gain"):
            value = getattr(self, name)
            require_number(
                f"VAEConfig.{name}", value, lambda x: 0 < x < math.inf, "a number, positive and finite"
            )
        for name in ("kl", "warmup", "final"):
            require_number(f"VAEConfig.{name}", getattr(self, name), lambda x: x >= 0, "a number, 0 or more")
        require_number("VAEConfig.beta", self.beta, lambda x: 0 < x < 1, "in (0, 1); try 0.01")
        if self.sigma is not None:
            require_number("VAEConfig.sigma", self.sigma, lambda x: x > 0, "positive, or None to learn it")
        if self.clip is not None:
            require_number("VAEConfig.clip", self.clip, lambda x: x > 0, "positive, or None for no bound")

    def json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def likelihood(self) -> AbstractLikelihood:
        if self.bernoulli:
            return OffsetBernoulli(self.slope, self.shown)
        return Gaussian(self.variance, slope=self.slope)

    def neurons(self) -> AbstractLagrangian:
        """Of the hidden layer."""
        if self.hidden_centre is None:
            return Tanh(self.hidden_slope)
        return Sigmoid(self.hidden_slope, self.hidden_centre)

    def posterior(self) -> AbstractVariance:
        return LearnedVariance() if self.sigma is None else FixedVariance(self.sigma)

    def method(self) -> Method:
        # Plain Picard: with one end clamped few sweeps are needed, and it compiles in a third of the time.
        return Method(solver=Picard(), rtol=self.rtol, atol=0.0, max_steps=self.max_steps)

    def vae(self) -> AbstractVAE:
        """The untrained model."""
        return MODELS[self.model](self, jr.fold_in(jr.key(self.seed), 0))

    def gradient(self) -> AbstractLossGradient:
        by_nudging = self.propagation and self.model != "feedforward"
        return EPGradient(self.beta) if by_nudging else ImplicitGradient()

    def optimiser(self, steps: int) -> optax.GradientTransformation:
        """Adam or Muon over so many steps in all."""
        return optimiser(self.learning_rate, steps, self.final, self.visible_rate, self.clip, self.orthogonal)


def _layered(config: VAEConfig, key: Key[Array, ""]):
    parts = (config.likelihood(), config.posterior())
    neurons = config.neurons()
    return layered(
        config.pixels, config.hidden, config.latents, *parts, neurons=neurons, gain=config.gain, key=key
    )


def _dense(config: VAEConfig, key: Key[Array, ""]):
    halves = (config.hidden - config.hidden // 2, config.hidden // 2)
    if not halves[1]:
        raise ValueError(f"`VAEConfig(hidden={config.hidden})` of a dense network must be at least 2.")
    parts, neurons = (config.likelihood(), config.posterior()), config.neurons()
    return dense(config.pixels, halves, config.latents, *parts, neurons=neurons, gain=config.gain, key=key)


def _hopfield(config: VAEConfig, networks) -> HopfieldVAE:
    parts = {"likelihood": config.likelihood(), "variance": config.posterior(), "method": config.method()}
    return HopfieldVAE(networks=networks, **parts)


def _tied(build: Callable) -> Callable[[VAEConfig, Key[Array, ""]], AbstractVAE]:
    return lambda config, key: _hopfield(config, Tied(build(config, key)))


def _pair(build: Callable) -> Callable[[VAEConfig, Key[Array, ""]], AbstractVAE]:
    each = lambda config, key: Untied(*(build(config, one) for one in jr.split(key)))
    return lambda config, key: _hopfield(config, each(config, key))


def _feedforward(config: VAEConfig, key: Key[Array, ""]) -> AbstractVAE:
    sizes = (config.pixels, config.hidden, config.latents)
    return perceptrons(*sizes, config.likelihood(), config.sigma, key=key)


MODELS: Mapping[str, Callable[[VAEConfig, Key[Array, ""]], AbstractVAE]] = MappingProxyType(
    {
        "tied": _tied(_layered),
        "untied": _pair(_layered),
        "tied-dense": _tied(_dense),
        "dense": _pair(_dense),
        "feedforward": _feedforward,
    }
)


def preset(dataset: Dataset, model: str = "tied") -> VAEConfig:
    """Settings chosen on a validation split of the digits; on larger images, of MNIST: 50 latents and drawn pixels."""
    pixels = dataset.train_images.shape[1]
    if pixels <= SMALL:
        return VAEConfig(pixels=pixels, model=model)
    return dataclasses.replace(LARGE, pixels=pixels, model=model)


SMALL = 256  # pixels; images that are larger are treated as MNIST is
LARGE = VAEConfig(  # chosen on the last 5,000 training images of MNIST, see the page of the experiment
    pixels=784,
    hidden=600,
    latents=50,
    bernoulli=True,
    slope=16.0,
    shown=10.0,
    hidden_slope=1.0,
    hidden_centre=None,
    gain=0.3,
    centred=True,
    sigma=None,
    beta=0.1,
    learning_rate=3e-3,
    final=0.02,
    visible_rate=0.3,
    clip=150.0,
    orthogonal=3,
    batch_size=100,
    epochs=20,
    warmup=0.5,
    rtol=1e-3,
)
