"""The total gradient of the loss by equilibrium propagation, implicit differentiation and finite differences."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import double, scaled

from hopfax import Method, Synchronous
from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.lagrangians import Sigmoid, Tanh
from hopfax.networks.chn import CHNLagrangian
from hopfax.solvers import Picard
from hopfax.updates import Damped
from hopfax.vae import (
    Bernoulli,
    EPGradient,
    FixedVariance,
    Gaussian,
    HopfieldVAE,
    ImplicitGradient,
    LearnedVariance,
    OffsetBernoulli,
    Tied,
    Untied,
    dense,
    layered,
    negative_elbo,
)

EXACT = Implicit(ConjugateGradient(rtol=1e-12))
# The synchronous update compiles fastest; with damping it converges on dense networks too.
METHOD = Method(Damped(Synchronous(), 0.6), Picard(), EXACT, rtol=1e-13, atol=1e-14, max_steps=2000)
PIXELS, HIDDEN, LATENTS, BATCH = 5, 4, 2, 3
IMAGES = jr.uniform(jr.key(0), (BATCH, PIXELS), jnp.float64)
NOISE = jr.normal(jr.key(1), (BATCH, LATENTS), jnp.float64)
WEIGHT = jnp.asarray(0.7)
BETA, STEP, DIRECTIONS = 1e-4, 1e-5, 4

GRAPHS = {"layered": (layered, HIDDEN), "dense": (dense, (2, 2))}
LIKELIHOODS = {
    "Gaussian": Gaussian(variance=0.1),
    "Bernoulli": Bernoulli(2.0),
    "OffsetBernoulli": OffsetBernoulli(2.0, 1.5, 1.0),
}
VARIANCES = {"fixed": FixedVariance(0.31), "learned": LearnedVariance()}
WITH_CHN_NEURONS = ("layered", "learned", "Bernoulli")
CASES = [  # all pairs of a graph, a variance and a likelihood, except for Bernoulli
    ("layered", "fixed", "Gaussian"),
    ("layered", "learned", "OffsetBernoulli"),
    WITH_CHN_NEURONS,
    ("dense", "fixed", "OffsetBernoulli"),
    ("dense", "learned", "Gaussian"),
]


def untied(graph, variance, likelihood, same=False):
    """A VAE of two networks, or of the same network twice."""
    build, hidden = GRAPHS[graph]
    chn = (graph, variance, likelihood) == WITH_CHN_NEURONS
    neurons = CHNLagrangian(Sigmoid(2.0)) if chn else Sigmoid.paper() if graph == "layered" else Tanh()
    parts = (LIKELIHOODS[likelihood], VARIANCES[variance])
    make = lambda key: build(
        PIXELS, hidden, LATENTS, *parts, neurons=neurons, latent_gain=0.7, key=jr.key(key)
    )
    networks = [scaled(double(make(seed)), 0.6) for seed in (3, 3 if same else 4)]
    return HopfieldVAE(Untied(*networks), *parts, METHOD)


def flat(tree):
    return ravel_pytree(eqx.filter(tree, eqx.is_inexact_array))[0]


@eqx.filter_jit
def by_ep(vae):
    return EPGradient(BETA)(vae, IMAGES, NOISE, WEIGHT)


@eqx.filter_jit
def finite_differences(vae, directions):
    """Derivatives of the loss along each direction by central differences, which only relax the networks."""
    leaves, rest = eqx.partition(vae, eqx.is_inexact_array)
    vector, unravel = ravel_pytree(leaves)
    vectors = vector[None] + STEP * jnp.concatenate([directions, -directions])
    example = lambda v, x, e: negative_elbo(eqx.combine(unravel(v), rest), x, e, WEIGHT)[0]
    total = lambda v: jnp.mean(jax.vmap(ft.partial(example, v))(IMAGES, NOISE))
    up, down = jnp.split(jax.lax.map(total, vectors), 2)
    return (up - down) / (2 * STEP)


@pytest.mark.parametrize(
    "case",
    [CASES[0], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[1:])],
    ids="-".join,
)
def test_equilibrium_propagation_gives_the_total_gradient(case):
    """Compared with finite differences of the whole loss, for two networks, and for one changed in both its uses."""
    for same in (False, True):
        vae = untied(*case, same=same)
        directions = jr.normal(jr.key(5), (DIRECTIONS, flat(vae).size), jnp.float64)
        if same:
            directions = jnp.tile(directions[:, : directions.shape[1] // 2], 2)
        loss, gradient = by_ep(vae)
        assert not loss.unconverged.any()
        assert np.allclose(
            directions @ flat(gradient), finite_differences(vae, directions), rtol=1e-4, atol=1e-6
        )


@pytest.mark.slow
def test_the_gradient_of_a_tied_network_is_the_sum_of_both_uses():
    vae = untied(*CASES[-1], same=True)
    tied = eqx.tree_at(lambda v: v.networks, vae, Tied(vae.networks.encoder))
    networks = by_ep(vae)[1].networks
    summed = flat(networks.encoder) + flat(networks.decoder)
    assert np.allclose(flat(by_ep(tied)[1]), summed, rtol=1e-12, atol=1e-14)
    loss, exact = eqx.filter_jit(ImplicitGradient())(tied, IMAGES, NOISE, WEIGHT)
    assert np.linalg.norm(flat(exact) - summed) < 1e-5 * np.linalg.norm(summed)
    assert np.isclose(loss.total, by_ep(vae)[0].total, rtol=1e-10)
