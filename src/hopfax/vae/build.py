"""Build the model and the optimiser that a `VAEConfig` describes."""

import functools as ft
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.random as jr
import optax
from jaxtyping import Array, Key, PyTree

from ..networks import HAM
from .config import VAEConfig
from .feedforward import perceptrons
from .likelihoods import VISIBLE
from .model import AbstractVAE, HopfieldVAE, Image
from .networks import AbstractNetworks, Tied, Untied, dense, layered

BuildNetwork = Callable[[VAEConfig, Key[Array, ""]], HAM]
BuildVAE = Callable[[VAEConfig, Key[Array, ""]], AbstractVAE]

# The rms of a Muon step at learning rate 1. It is about that of Adam, so that their rates are comparable.
MUON_RMS = 0.2


def build_vae(config: VAEConfig) -> AbstractVAE:
    """The untrained model, with random weights."""
    return _BUILDERS[config.model](config, jr.fold_in(jr.key(config.seed), 0))


def initial_vae(config: VAEConfig, mean_image: Image) -> AbstractVAE:
    """The model at the first step of training, for training images with this mean."""
    vae = build_vae(config)
    return vae.start_at_mean(mean_image, config.hidden_centre or 0.0) if config.start_at_mean else vae


def build_optimiser(config: VAEConfig, steps: int) -> optax.GradientTransformation:
    """Adam or Muon for a run of `steps` steps, with another rate for the synapses of the visible layer."""
    return _optimiser(
        config.learning_rate,
        steps,
        config.final_learning_rate_fraction,
        config.visible_rate_factor,
        config.max_gradient_norm,
        config.muon_iterations,
    )


def _layered(config: VAEConfig, key: Key[Array, ""]) -> HAM:
    return _network(layered, config, config.hidden, key)


def _dense(config: VAEConfig, key: Key[Array, ""]) -> HAM:
    halves = (config.hidden - config.hidden // 2, config.hidden // 2)
    if not halves[1]:
        raise ValueError(f"`VAEConfig(hidden={config.hidden})` of a dense network must be at least 2.")
    return _network(dense, config, halves, key)


def _network(build: Callable[..., HAM], config: VAEConfig, hidden: Any, key: Key[Array, ""]) -> HAM:
    neurons, gain = config.hidden_neurons(), config.latent_gain
    outer = (config.likelihood(), config.variance())
    return build(config.pixels, hidden, config.latents, *outer, neurons=neurons, latent_gain=gain, key=key)


def _tied(build: BuildNetwork) -> BuildVAE:
    return lambda config, key: _hopfield(config, Tied(build(config, key)))


def _untied(build: BuildNetwork) -> BuildVAE:
    networks = lambda config, key: Untied(*(build(config, network_key) for network_key in jr.split(key)))
    return lambda config, key: _hopfield(config, networks(config, key))


def _hopfield(config: VAEConfig, networks: AbstractNetworks) -> HopfieldVAE:
    return HopfieldVAE(
        networks=networks,
        likelihood=config.likelihood(),
        variance=config.variance(),
        method=config.method(),
    )


def _feedforward(config: VAEConfig, key: Key[Array, ""]) -> AbstractVAE:
    sizes = (config.pixels, config.hidden, config.latents)
    return perceptrons(*sizes, config.likelihood(), config.sigma, depth=config.hidden_layers, key=key)


_BUILDERS: Mapping[str, BuildVAE] = MappingProxyType(
    {
        "tied": _tied(_layered),
        "untied": _untied(_layered),
        "tied-dense": _tied(_dense),
        "dense": _untied(_dense),
        "feedforward": _feedforward,
    }
)


@ft.cache
def _optimiser(
    learning_rate: float,
    steps: int,
    final_learning_rate_fraction: float,
    visible_rate_factor: float,
    max_gradient_norm: float | None,
    muon_iterations: int,
) -> optax.GradientTransformation:
    # The same settings give the same object, so that functions compiled with it are not compiled again.
    no_limit = max_gradient_norm is None
    clip = optax.identity() if no_limit else optax.clip_by_global_norm(max_gradient_norm)
    schedule = optax.cosine_decay_schedule(learning_rate, steps, final_learning_rate_fraction)
    if muon_iterations:
        rule = optax.contrib.muon(schedule, ns_steps=muon_iterations, consistent_rms=MUON_RMS)
    else:
        rule = optax.adam(schedule)
    factors: dict[Hashable, optax.GradientTransformation]
    factors = {VISIBLE: optax.scale(visible_rate_factor), "others": optax.identity()}
    return optax.chain(clip, rule, optax.partition(factors, _rate_groups))


def _rate_groups(weights: PyTree) -> PyTree:
    """`VISIBLE` for the parameters of synapses of the visible layer, "others" for all others."""
    group = lambda path, _: VISIBLE if VISIBLE in jax.tree_util.keystr(path) else "others"
    return jax.tree_util.tree_map_with_path(group, weights)
